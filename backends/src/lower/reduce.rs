//! Reductions: loops with accumulators, over lanes where no outer loop runs over them.

use super::{
    elementwise::register,
    expr::{Coords, ExprLowering},
    space::Axis,
};
use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_ir::{BinaryOp, Elem, ReduceOp, Value};
use seqc_passes::affine::AffineExpr;

impl ExprLowering<'_, '_> {
    /// Reduces the last `axes` axes of `x`; `coords` index the others.
    pub(super) fn reduce(&mut self, f: &mut Func, x: Value, op: ReduceOp, axes: usize, coords: &Coords) -> Val {
        self.reduce_together(f, x, op, axes, std::slice::from_ref(coords))[0]
    }

    /// [`ExprLowering::reduce`] at several indices in one loop: each result has an accumulator, and none waits for another.
    pub(super) fn reduce_together(
        &mut self,
        f: &mut Func,
        x: Value,
        op: ReduceOp,
        axes: usize,
        entries: &[Coords],
    ) -> Vec<Val> {
        let sizes = self.cx.graph().ty(x).sizes();
        let of = Reduced {
            op,
            elem: self.cx.graph().ty(x).elem,
            sizes: &sizes[sizes.len() - axes..],
        };
        self.fold(f, &of, entries, &mut |exprs, f, inner| exprs.value(f, x, inner))
    }

    /// `sum_k w[n…, k] x[k]`, where a product is not a kernel: at load time.
    pub(super) fn product(&mut self, f: &mut Func, w: Value, x: Value, coords: &Coords) -> Val {
        let k = self.cx.graph().ty(x).len();
        let of = Reduced {
            op: ReduceOp::Sum,
            elem: Elem::F32,
            sizes: &[k],
        };
        let sums = self.fold(f, &of, std::slice::from_ref(coords), &mut |exprs, f, inner| {
            let last = inner[inner.len() - 1..].to_vec();
            let (a, b) = (exprs.value(f, w, inner), exprs.value(f, x, &last));
            let (a, b) = exprs.alike(f, a, b);
            f.mul(a, b)
        });
        sums[0]
    }

    /// `sum_k w[index[c], n…, k] x[c, k]`, where a product is not a kernel: at load time.
    pub(super) fn indexed_product(&mut self, f: &mut Func, operands: &[Value], coords: &Coords) -> Val {
        let (w, index, x) = (operands[0], operands[1], operands[2]);
        let graph = self.cx.graph();
        let k = graph.ty(w).sizes().last().copied().unwrap_or(0);
        let each = graph.ty(x).rank() > 1;
        let of = Reduced {
            op: ReduceOp::Sum,
            elem: Elem::F32,
            sizes: &[k],
        };
        let sums = self.fold(f, &of, std::slice::from_ref(coords), &mut |exprs, f, inner| {
            let last = &inner[inner.len() - 1..];
            let vector = if each {
                [&inner[..1], last].concat()
            } else {
                last.to_vec()
            };
            let (a, b) = (exprs.lookup(f, w, index, inner), exprs.value(f, x, &vector));
            let (a, b) = exprs.alike(f, a, b);
            f.mul(a, b)
        });
        sums[0]
    }

    /// The reductions of all terms of `body` at some indices of the axes that are not reduced.
    fn fold(&mut self, f: &mut Func, of: &Reduced<'_>, entries: &[Coords], body: Term<'_, Self>) -> Vec<Val> {
        let &Reduced { op, elem, sizes } = of;
        let total: usize = sizes.iter().product();
        let lane = self.space.lane;
        let varies = lane.is_some_and(|lane| entries.iter().flatten().any(|c| c.uses(lane)));
        let lanes = self.lanes;
        let ty = register(elem, varies.then_some(lanes));
        let init = neutral(f, op, ty);
        let init = vec![init; entries.len()];
        if total == 0 {
            return init;
        }
        let wide = self.space.lane.is_none() && sizes.last().is_some_and(|n| *n >= lanes as usize);
        let reduction = Reduction { op, ty, sizes };
        if wide {
            return self.across_lanes(f, reduction, entries, body);
        }
        if total <= self.cx.layer.machine().short_reduction {
            return self.written_out(f, reduction, entries, init, body);
        }
        self.loops(f, sizes, entries, init, &mut |exprs, f, inner, sums| {
            exprs.with_terms(f, reduction, inner, sums, body)
        })
    }

    /// Unrolled.
    fn written_out(
        &mut self,
        f: &mut Func,
        reduction: Reduction<'_>,
        entries: &[Coords],
        init: Vec<Val>,
        body: Term<'_, Self>,
    ) -> Vec<Val> {
        let sizes = reduction.sizes;
        let depth = self.space.axes.len();
        let total: usize = sizes.iter().product();
        let mut sums = init;
        for flat in 0..total {
            let mut rest = flat;
            let mut index = vec![0; sizes.len()];
            for (i, n) in sizes.iter().enumerate().rev() {
                index[i] = rest % n;
                rest /= n;
            }
            let axes: Vec<usize> = index
                .into_iter()
                .zip(sizes)
                .map(|(i, n)| self.space.push(Axis::Fixed(i as i64), *n))
                .collect();
            self.enter();
            sums = self.with_terms(f, reduction, &inside(entries, &axes), sums, body);
            self.leave();
            self.space.truncate(depth);
        }
        sums
    }

    /// Sums with the terms at some indices.
    fn with_terms(
        &mut self,
        f: &mut Func,
        reduction: Reduction<'_>,
        entries: &[Coords],
        sums: Vec<Val>,
        body: Term<'_, Self>,
    ) -> Vec<Val> {
        let terms: Vec<Val> = entries.iter().map(|coords| body(self, f, coords)).collect();
        let sums = sums.into_iter().zip(terms);
        sums.map(|(sum, term)| reduction.combine(f, sum, term)).collect()
    }

    /// Nested loops, one for each axis; `step` adds to the reductions inside of all of them.
    fn loops(
        &mut self,
        f: &mut Func,
        sizes: &[usize],
        entries: &[Coords],
        init: Vec<Val>,
        step: Step<'_, Self>,
    ) -> Vec<Val> {
        let Some((size, rest)) = sizes.split_first() else {
            return step(self, f, entries, init);
        };
        let depth = self.space.axes.len();
        let (low, high, one) = (f.i64(0), f.i64(*size as i64), f.i64(1));
        f.for_loop(low..high, one, &init, |f, i, sums| {
            let axis = self.space.push(Axis::At(i), *size);
            self.enter();
            let sums = self.loops(f, rest, &inside(entries, &[axis]), sums.to_vec(), step);
            self.leave();
            self.space.truncate(depth);
            sums
        })
    }

    /// The last axis reduced lane by lane, then the lanes of the results.
    fn across_lanes(
        &mut self,
        f: &mut Func,
        reduction: Reduction<'_>,
        entries: &[Coords],
        body: Term<'_, Self>,
    ) -> Vec<Val> {
        let (outer, last) = reduction.sizes.split_at(reduction.sizes.len() - 1);
        let wide = Reduction {
            ty: register_of(reduction.ty, self.lanes),
            sizes: last,
            ..reduction
        };
        let init = vec![neutral(f, wide.op, wide.ty); entries.len()];
        let sums = self.loops(f, outer, entries, init, &mut |exprs, f, inner, sums| {
            exprs.lanes_of_row(f, wide, inner, sums, body)
        });
        sums.into_iter().map(|sum| self.together(f, reduction, sum)).collect()
    }

    /// The last axis, in vectors: each lane of a result reduces the terms in that lane.
    fn lanes_of_row(
        &mut self,
        f: &mut Func,
        wide: Reduction<'_>,
        entries: &[Coords],
        init: Vec<Val>,
        body: Term<'_, Self>,
    ) -> Vec<Val> {
        let (size, lanes) = (wide.sizes[0], self.lanes);
        let whole = size - size % lanes as usize;
        let depth = self.space.axes.len();
        let mut terms = |exprs: &mut Self, f: &mut Func, i: Val| {
            let axis = exprs.space.push(Axis::At(i), size);
            exprs.space.lane = Some(axis);
            exprs.enter();
            let inner = inside(entries, &[axis]).into_iter();
            let terms: Vec<Val> = inner
                .map(|coords| {
                    let term = body(exprs, f, &coords);
                    exprs.spread(f, term)
                })
                .collect();
            exprs.leave();
            exprs.space.truncate(depth);
            exprs.space.lane = None;
            terms
        };
        let (low, high, step) = (f.i64(0), f.i64(whole as i64), f.i64(i64::from(lanes)));
        let sums = f.for_loop(low..high, step, &init, |f, i, sums| {
            let terms = terms(self, f, i);
            let sums = sums.iter().zip(terms);
            sums.map(|(sum, term)| wide.combine(f, *sum, term)).collect()
        });
        if whole == size {
            return sums;
        }
        let (start, left) = (f.i64(whole as i64), f.i64((size - whole) as i64));
        let mask = f.tail_mask(left, lanes);
        self.space.mask = Some(mask);
        let terms = terms(self, f, start);
        self.space.mask = None;
        let nothing = neutral(f, wide.op, wide.ty);
        let sums = sums.into_iter().zip(terms);
        sums.map(|(sum, term)| {
            let term = f.select(mask, term, nothing);
            wide.combine(f, sum, term)
        })
        .collect()
    }

    /// The reduction of the lanes of a vector.
    fn together(&mut self, f: &mut Func, reduction: Reduction<'_>, lanes: Val) -> Val {
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

/// Indices with those of inner axes behind.
fn inside(entries: &[Coords], axes: &[usize]) -> Vec<Coords> {
    let axes: Coords = axes.iter().map(|axis| AffineExpr::axis(*axis)).collect();
    entries.iter().map(|coords| [&coords[..], &axes].concat()).collect()
}

/// Writes the term at some indices, of the axes that are not reduced and then of those that are.
type Term<'b, E> = &'b mut dyn FnMut(&mut E, &mut Func, &Coords) -> Val;

/// Adds to reductions at some indices.
type Step<'b, E> = &'b mut dyn FnMut(&mut E, &mut Func, &[Coords], Vec<Val>) -> Vec<Val>;

/// What is reduced: terms of an element type, over axes of these sizes.
struct Reduced<'s> {
    op: ReduceOp,
    elem: Elem,
    sizes: &'s [usize],
}

/// How terms are combined, their type in registers, and the sizes of the axes that are left to reduce.
#[derive(Clone, Copy)]
struct Reduction<'s> {
    op: ReduceOp,
    ty: Ty,
    sizes: &'s [usize],
}

impl Reduction<'_> {
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

/// Two terms combined; both of one type. A sum is never NaN where the largest or smallest is sought: a term that is
/// NaN is passed over.
pub(super) fn combine(f: &mut Func, op: ReduceOp, sum: Val, term: Val) -> Val {
    let op = match op {
        ReduceOp::Sum => BinaryOp::Add,
        ReduceOp::Prod => BinaryOp::Mul,
        ReduceOp::Max => return f.max(term, sum),
        ReduceOp::Min => return f.min(term, sum),
    };
    super::elementwise::binary(f, op, sum, term, None)
}

/// The neutral element of a reduction.
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
