//! Loops over the entries of one stored value.

use super::{
    cx::{Cx, scalar_of},
    elementwise::to_memory,
    expr::{Axis, Coords, ExprLowering},
    table,
};
use crate::{
    kernel::{Cmp, Func, Ty, Val},
    schedule::loops,
};
use seqc_passes::{
    affine::{AffineExpr, Stride, delinearise},
    plan::Nest,
};

/// A part of a nest's outermost loop.
pub(super) type Range = (Val, Val);

/// Computes a stored value at one token (`None` at load time). With a range only that part of the outermost loop is
/// run; `flat` asks for one loop over all entries in row-major order.
pub(super) fn nest(cx: &Cx<'_>, f: &mut Func, token: Option<Val>, nest: &Nest, part: (Option<Range>, bool)) {
    if table::is_rows_of_table(cx, nest) {
        return table::rows(cx, f, token, nest);
    }
    let sizes = cx.graph().ty(nest.value).sizes();
    if sizes.iter().product::<usize>() == 0 {
        return;
    }
    let mut emit = ExprLowering::new(cx, token);
    emit.into.push(nest.into);
    let flat = part.1 || loops(cx.layer.machine, &sizes).len() < sizes.len();
    let body = Body {
        cx,
        nest,
        sizes: if flat { vec![sizes.iter().product()] } else { sizes },
        flat,
    };
    body.descend(&mut emit, f, 0, part.0);
}

/// Computes the part of a stored value that belongs to one head: index `head` of its first axis.
pub(super) fn at_head(cx: &Cx<'_>, f: &mut Func, token: Val, nest: &Nest, head: Val) {
    let sizes = cx.graph().ty(nest.value).sizes();
    if sizes.iter().product::<usize>() == 0 {
        return;
    }
    let mut emit = ExprLowering::new(cx, Some(token));
    emit.into.push(nest.into);
    emit.space.push(Axis::At(head), sizes[0]);
    let body = Body {
        cx,
        nest,
        sizes,
        flat: false,
    };
    if body.sizes.len() == 1 {
        let coords = ExprLowering::identity(1);
        return body.entry(&mut emit, f, &coords);
    }
    body.descend(&mut emit, f, 1, None);
}

struct Body<'b, 'a> {
    cx: &'b Cx<'a>,
    nest: &'b Nest,
    /// Sizes of the loops.
    sizes: Vec<usize>,
    /// One loop runs over all axes.
    flat: bool,
}

impl Body<'_, '_> {
    /// Indices of the value's axes inside the loops.
    fn coords(&self, emit: &ExprLowering<'_, '_>) -> Coords {
        let sizes = self.cx.graph().ty(self.nest.value).sizes();
        if self.flat {
            delinearise(&AffineExpr::axis(0), &sizes, &emit.space.sizes)
        } else {
            ExprLowering::identity(sizes.len())
        }
    }

    /// Writes loop `depth` and those inside of it.
    fn descend(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize, range: Option<Range>) {
        if self.sizes.is_empty() {
            return self.entry(emit, f, &Vec::new());
        }
        self.hoist(emit, f, depth);
        let size = self.sizes[depth];
        let (lo, hi) = range.unwrap_or_else(|| (f.i64(0), f.i64(size as i64)));
        if depth + 1 == self.sizes.len() {
            return self.innermost(emit, f, (lo, hi), range.is_some());
        }
        f.for_each(lo, hi, 1, |f, i| {
            emit.space.push(Axis::At(i), size);
            emit.enter();
            self.descend(emit, f, depth + 1, None);
            emit.leave();
            emit.space.truncate(depth);
        });
    }

    /// Computes what does not change in the loops from `depth` on. The axes of those loops must be known for that.
    fn hoist(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize) {
        for size in &self.sizes[depth..] {
            emit.space.push(Axis::Fixed(0), *size);
        }
        let coords = self.coords(emit);
        emit.hoist(f, self.nest.value, &coords, depth);
        emit.space.truncate(depth);
    }

    /// The innermost loop: whole vectors, then the rest under a mask.
    fn innermost(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, (lo, hi): Range, partial: bool) {
        let lanes = i64::from(self.cx.lanes());
        let depth = self.sizes.len() - 1;
        let size = self.sizes[depth] as i64;
        if size == 1 {
            if !partial {
                return self.step(emit, f, lo, None);
            }
            let one = f.cmp(Cmp::Lt, lo, hi);
            return f.if_then(one, |f| self.step(emit, f, lo, None));
        }
        let (step, zero) = (f.i64(lanes), f.i64(0));
        let count = f.sub(hi, lo);
        let rest = f.urem(count, step);
        let whole = f.sub(hi, rest);
        if size >= lanes {
            f.for_each(lo, whole, lanes, |f, i| self.step(emit, f, i, Some(None)));
        }
        if size % lanes == 0 {
            return;
        }
        let some = f.cmp(Cmp::Gt, rest, zero);
        let mask = f.tail_mask(rest, self.cx.lanes());
        f.if_then(some, |f| self.step(emit, f, whole, Some(Some(mask))));
    }

    /// One vector (`lanes`: with or without a mask) or one entry.
    fn step(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, i: Val, lanes: Option<Option<Val>>) {
        let depth = self.sizes.len() - 1;
        let axis = emit.space.push(Axis::At(i), self.sizes[depth]);
        emit.space.lane = lanes.map(|_| axis);
        emit.space.mask = lanes.flatten();
        emit.enter();
        let coords = self.coords(emit);
        self.entry(emit, f, &coords);
        emit.leave();
        emit.space.lane = None;
        emit.space.mask = None;
        emit.space.truncate(depth);
    }

    fn entry(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, coords: &Coords) {
        let val = emit.value(f, self.nest.value, coords);
        emit.write(f, self.nest, coords, val);
    }
}

impl ExprLowering<'_, '_> {
    /// Stores a nest's value at `coords`.
    pub(super) fn write(&mut self, f: &mut Func, nest: &Nest, coords: &Coords, val: Val) {
        let b = self.cx.plan().buffer(nest.into);
        let mut place = coords.clone();
        if let Some((axis, by)) = nest.shift {
            place[axis] = place[axis].plus(&AffineExpr::constant(by as i64));
        }
        let at = place
            .iter()
            .zip(&b.strides)
            .fold(AffineExpr::default(), |sum, (c, s)| sum.plus(&c.times(*s)));
        let base = match self.space.token {
            Some(token) => self.cx.row(f, nest.into, token),
            None => self.cx.buffer_base(f, nest.into),
        };
        let val = to_memory(f, val);
        let scalar = scalar_of(b.elem);
        if self.space.lane.is_none() {
            let at = self.first_lane(f, &at);
            let p = f.gep(base, at, scalar);
            return f.store(val, p);
        }
        let val = self.spread(f, val);
        if self.stride(&at) == Stride::Fixed(1) {
            let at = self.first_lane(f, &at);
            let p = f.gep(base, at, scalar);
            return match self.space.mask {
                Some(mask) => f.masked_store(val, p, mask),
                None => f.store(val, p),
            };
        }
        let at = self.index(f, &at);
        let pointers = f.gep(base, at, scalar);
        let mask = match self.space.mask {
            Some(mask) => mask,
            None => f.int(Ty::V(self.lanes, crate::kernel::Scalar::I1), 1),
        };
        f.scatter(val, pointers, mask);
    }
}
