//! Reductions: loops with accumulators, over lanes where nothing else is.

use super::{
    elementwise::register,
    expr::{Axis, Coords, ExprLowering},
};
use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_ir::{BinaryOp, Elem, ReduceOp, Value};
use seqc_passes::affine::AffineExpr;

/// Reductions of at most this many entries are written out.
const UNROLLED: usize = 8;

impl ExprLowering<'_, '_> {
    /// Reduces the last `axes` axes of `x`; `coords` index the others.
    pub(super) fn reduce(&mut self, f: &mut Func, (x, op, axes): (Value, ReduceOp, usize), coords: &Coords) -> Val {
        let sizes = self.cx.graph().ty(x).sizes();
        let reduced = &sizes[sizes.len() - axes..];
        let elem = self.cx.graph().ty(x).elem;
        self.fold(f, (op, elem, reduced), coords, &mut |emit, f, inner| {
            emit.value(f, x, inner)
        })
    }

    /// `sum_k w[n…, k] x[k]`, where a product is not a kernel: at load time.
    pub(super) fn product(&mut self, f: &mut Func, (w, x): (Value, Value), coords: &Coords) -> Val {
        let k = self.cx.graph().ty(x).len();
        self.fold(f, (ReduceOp::Sum, Elem::F32, &[k]), coords, &mut |emit, f, inner| {
            let last = inner[inner.len() - 1..].to_vec();
            let (a, b) = (emit.value(f, w, inner), emit.value(f, x, &last));
            let (a, b) = emit.alike(f, a, b);
            f.mul(a, b)
        })
    }

    fn fold(
        &mut self,
        f: &mut Func,
        (op, elem, sizes): (ReduceOp, Elem, &[usize]),
        coords: &Coords,
        body: &mut dyn FnMut(&mut Self, &mut Func, &Coords) -> Val,
    ) -> Val {
        let total: usize = sizes.iter().product();
        let varies = self.space.lane.is_some_and(|lane| coords.iter().any(|c| c.uses(lane)));
        let lanes = self.lanes;
        let ty = register(elem, varies.then_some(lanes));
        if total == 0 {
            return neutral(f, op, ty);
        }
        let wide = self.space.lane.is_none() && sizes.last().is_some_and(|n| *n >= lanes as usize);
        let reduction = Reduction { op, ty };
        if wide {
            return self.across_lanes(f, (reduction, sizes), coords, body);
        }
        let init = neutral(f, op, ty);
        if total <= UNROLLED {
            return self.written_out(f, (reduction, sizes), (coords, init), body);
        }
        self.loops(f, (reduction, sizes), (coords.clone(), init), body)
    }

    /// One term after another, no loop.
    fn written_out(
        &mut self,
        f: &mut Func,
        (reduction, sizes): (Reduction, &[usize]),
        (coords, init): (&Coords, Val),
        body: &mut dyn FnMut(&mut Self, &mut Func, &Coords) -> Val,
    ) -> Val {
        let depth = self.space.axes.len();
        let total: usize = sizes.iter().product();
        let mut sum = init;
        for flat in 0..total {
            let (mut inner, mut rest) = (coords.clone(), flat);
            let mut index = vec![0; sizes.len()];
            for (i, n) in sizes.iter().enumerate().rev() {
                index[i] = rest % n;
                rest /= n;
            }
            for (i, n) in index.into_iter().zip(sizes) {
                let axis = self.space.push(Axis::Fixed(i as i64), *n);
                inner.push(AffineExpr::axis(axis));
            }
            self.enter();
            let term = body(self, f, &inner);
            self.leave();
            self.space.truncate(depth);
            sum = reduction.combine(f, sum, term);
        }
        sum
    }

    /// Nested loops, one for each axis.
    fn loops(
        &mut self,
        f: &mut Func,
        (reduction, sizes): (Reduction, &[usize]),
        (coords, init): (Coords, Val),
        body: &mut dyn FnMut(&mut Self, &mut Func, &Coords) -> Val,
    ) -> Val {
        let Some((size, rest)) = sizes.split_first() else {
            let term = body(self, f, &coords);
            return reduction.combine(f, init, term);
        };
        let depth = self.space.axes.len();
        let bounds = (f.i64(0), f.i64(*size as i64), f.i64(1));
        let sums = f.for_loop(bounds, &[init], |f, i, sums| {
            let axis = self.space.push(Axis::At(i), *size);
            let mut inner = coords.clone();
            inner.push(AffineExpr::axis(axis));
            self.enter();
            let sum = self.loops(f, (reduction, rest), (inner, sums[0]), body);
            self.leave();
            self.space.truncate(depth);
            vec![sum]
        });
        sums[0]
    }

    /// The last axis in lanes, then all lanes together.
    fn across_lanes(
        &mut self,
        f: &mut Func,
        (reduction, sizes): (Reduction, &[usize]),
        coords: &Coords,
        body: &mut dyn FnMut(&mut Self, &mut Func, &Coords) -> Val,
    ) -> Val {
        let lanes = self.lanes;
        let wide = Reduction {
            ty: register_of(reduction.ty, lanes),
            ..reduction
        };
        let init = neutral(f, wide.op, wide.ty);
        let (outer, last) = (&sizes[..sizes.len() - 1], sizes[sizes.len() - 1]);
        let mut row = |emit: &mut Self, f: &mut Func, inner: &Coords| emit.lanes_of_row(f, (wide, last), inner, body);
        let sum = if outer.is_empty() {
            row(self, f, coords)
        } else {
            self.loops(f, (wide, outer), (coords.clone(), init), &mut row)
        };
        self.together(f, reduction, sum)
    }

    /// All of one row, lane by lane.
    fn lanes_of_row(
        &mut self,
        f: &mut Func,
        (wide, size): (Reduction, usize),
        coords: &Coords,
        body: &mut dyn FnMut(&mut Self, &mut Func, &Coords) -> Val,
    ) -> Val {
        let lanes = self.lanes;
        let whole = size - size % lanes as usize;
        let depth = self.space.axes.len();
        let init = neutral(f, wide.op, wide.ty);
        let mut term = |emit: &mut Self, f: &mut Func, i: Val| {
            let axis = emit.space.push(Axis::At(i), size);
            emit.space.lane = Some(axis);
            let mut inner = coords.clone();
            inner.push(AffineExpr::axis(axis));
            emit.enter();
            let val = body(emit, f, &inner);
            let val = emit.spread(f, val);
            emit.leave();
            emit.space.truncate(depth);
            emit.space.lane = None;
            val
        };
        let bounds = (f.i64(0), f.i64(whole as i64), f.i64(i64::from(lanes)));
        let sums = f.for_loop(bounds, &[init], |f, i, sums| {
            let val = term(self, f, i);
            vec![wide.combine(f, sums[0], val)]
        });
        if whole == size {
            return sums[0];
        }
        let (start, left) = (f.i64(whole as i64), f.i64((size - whole) as i64));
        let mask = f.tail_mask(left, lanes);
        self.space.mask = Some(mask);
        let val = term(self, f, start);
        self.space.mask = None;
        let nothing = neutral(f, wide.op, wide.ty);
        let val = f.select(mask, val, nothing);
        wide.combine(f, sums[0], val)
    }

    fn together(&mut self, f: &mut Func, reduction: Reduction, lanes: Val) -> Val {
        let real = lanes.ty.scalar() == Scalar::F32;
        match reduction.op {
            ReduceOp::Sum => f.reduce_add(lanes),
            ReduceOp::Prod => f.reduce_mul(lanes),
            ReduceOp::Max if real => f.reduce_max(lanes),
            ReduceOp::Min if real => f.reduce_min(lanes),
            ReduceOp::Max | ReduceOp::Min => {
                let first = f.extract(lanes, 0);
                (1..i64::from(lanes.ty.lanes())).fold(first, |best, lane| {
                    let next = f.extract(lanes, lane);
                    reduction.combine(f, best, next)
                })
            }
        }
    }
}

/// How terms are put together, and their type.
#[derive(Clone, Copy)]
struct Reduction {
    op: ReduceOp,
    ty: Ty,
}

impl Reduction {
    fn combine(self, f: &mut Func, sum: Val, term: Val) -> Val {
        let term = match (sum.ty, term.ty) {
            (Ty::V(n, _), Ty::S(_)) => f.splat(term, n),
            _ => term,
        };
        combine(f, self.op, sum, term)
    }
}

fn register_of(ty: Ty, lanes: u32) -> Ty {
    Ty::V(lanes, ty.scalar())
}

/// Two terms put together; both of one type. A sum is never NaN where the largest or smallest is sought: a term that is
/// NaN is passed over.
pub(super) fn combine(f: &mut Func, op: ReduceOp, sum: Val, term: Val) -> Val {
    let op = match op {
        ReduceOp::Sum => BinaryOp::Add,
        ReduceOp::Prod => BinaryOp::Mul,
        ReduceOp::Max => return f.max(term, sum),
        ReduceOp::Min => return f.min(term, sum),
    };
    super::elementwise::binary(f, op, (sum, term), None)
}

/// What changes nothing.
pub(super) fn neutral(f: &mut Func, op: ReduceOp, ty: Ty) -> Val {
    let real = ty.scalar() == Scalar::F32;
    match op {
        ReduceOp::Sum => f.zero(ty),
        ReduceOp::Prod if real => f.float(ty, 1.0),
        ReduceOp::Prod => f.int(ty, 1),
        ReduceOp::Max if real => f.float(ty, f32::NEG_INFINITY),
        ReduceOp::Max => f.int(ty, i64::MIN),
        ReduceOp::Min if real => f.float(ty, f32::INFINITY),
        ReduceOp::Min => f.int(ty, i64::MAX),
    }
}
