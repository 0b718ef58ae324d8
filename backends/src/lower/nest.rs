//! Loops over the entries of one stored value.

use super::{
    address::scalar_of,
    cx::Cx,
    elementwise::to_memory,
    expr::{Coords, ExprLowering},
    rows_of_sums::reduces_rows,
    space::Axis,
    table,
};
use crate::{
    kernel::{Cmp, Func, Ty, Val},
    schedule::loops,
};
use seqc_passes::{
    affine::{AffineExpr, Stride, delinearise},
    plan::{Nest, held},
};
use std::ops::Range;

/// Which entries of a stored value are computed.
#[derive(Clone)]
pub(super) enum Portion {
    /// All.
    All,
    /// Those at some indices of the outermost loop ([`loops`]).
    Outermost(Range<Val>),
    /// A range of them in row-major order: results of a part of the rows of a matrix that has `rows`. A value of several matrices' results
    /// may have whole vectors where each of them has a rest.
    Entries { range: Range<Val>, rows: usize },
}

/// Computes a stored value at one token (`None` at load time).
pub(super) fn nest(cx: &Cx<'_>, f: &mut Func, token: Option<Val>, nest: &Nest, portion: Portion) {
    where_changed(cx, f, token, nest, |f, nest| entries(cx, f, token, nest, portion));
}

/// Writes what computes a stored value. One that lies where the state is that it holds is computed at the tokens alone at which it changes.
fn where_changed(cx: &Cx<'_>, f: &mut Func, token: Option<Val>, nest: &Nest, compute: impl FnOnce(&mut Func, &Nest)) {
    let state = cx.plan().buffer(nest.into).state;
    let Some(held) = held(cx.graph(), nest.value).filter(|held| Some(held.state) == state) else {
        return compute(f, nest);
    };
    let condition = ExprLowering::new(cx, token).value(f, held.condition, &Coords::new());
    let changed = Nest {
        value: held.value,
        ..nest.clone()
    };
    let changes = if held.changes { condition } else { f.not(condition) };
    f.if_then(changes, |f| compute(f, &changed));
}

fn entries(cx: &Cx<'_>, f: &mut Func, token: Option<Val>, nest: &Nest, portion: Portion) {
    if table::is_rows_of_table(cx, nest) {
        return table::rows(cx, f, token, nest);
    }
    let sizes = cx.graph().ty(nest.value).sizes();
    if sizes.iter().product::<usize>() == 0 {
        return;
    }
    let mut exprs = ExprLowering::new(cx, token);
    exprs.into.push(nest.into);
    let flat = matches!(portion, Portion::Entries { .. }) || loops(cx.layer.machine(), &sizes).len() < sizes.len();
    let (range, rows) = match portion {
        Portion::All => (None, None),
        Portion::Outermost(range) => (Some(range), None),
        Portion::Entries { range, rows } => (Some(range), Some(rows)),
    };
    let body = Body {
        cx,
        nest,
        by_rows: reduces_rows(cx, nest),
        sizes: if flat { vec![sizes.iter().product()] } else { sizes },
        flat,
        rows,
    };
    body.descend(&mut exprs, f, 0, range);
}

/// Computes the part of a stored value that belongs to one head: index `head` of its first axis.
pub(super) fn at_head(cx: &Cx<'_>, f: &mut Func, token: Val, nest: &Nest, head: Val) {
    where_changed(cx, f, Some(token), nest, |f, nest| {
        head_entries(cx, f, token, nest, head)
    });
}

fn head_entries(cx: &Cx<'_>, f: &mut Func, token: Val, nest: &Nest, head: Val) {
    let sizes = cx.graph().ty(nest.value).sizes();
    if sizes.iter().product::<usize>() == 0 {
        return;
    }
    let mut exprs = ExprLowering::new(cx, Some(token));
    exprs.into.push(nest.into);
    exprs.space.push(Axis::At(head), sizes[0]);
    let body = Body {
        cx,
        nest,
        by_rows: reduces_rows(cx, nest),
        sizes,
        flat: false,
        rows: None,
    };
    if body.sizes.len() == 1 {
        let coords = ExprLowering::identity(1);
        return body.entry(&mut exprs, f, &coords);
    }
    body.descend(&mut exprs, f, 1, None);
}

/// How many entries one step of the innermost loop computes.
enum Width {
    /// One.
    Entry,
    /// A vector.
    Vector,
    /// The lanes of a vector that a mask holds.
    Masked(Val),
}

struct Body<'b, 'a> {
    cx: &'b Cx<'a>,
    nest: &'b Nest,
    /// Lanes are those of sums, one entry after another.
    by_rows: bool,
    /// Sizes of the loops.
    sizes: Vec<usize>,
    /// One loop runs over all axes.
    flat: bool,
    /// Rows of the matrix of whose results a part is computed.
    rows: Option<usize>,
}

impl Body<'_, '_> {
    /// Indices of the value's axes inside the loops.
    fn coords(&self, exprs: &ExprLowering<'_, '_>) -> Coords {
        let sizes = self.cx.graph().ty(self.nest.value).sizes();
        if self.flat {
            delinearise(&AffineExpr::axis(0), &sizes, &exprs.space.sizes)
        } else {
            ExprLowering::identity(sizes.len())
        }
    }

    /// Writes loop `depth` and those inside of it.
    fn descend(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize, range: Option<Range<Val>>) {
        if self.sizes.is_empty() {
            return self.entry(exprs, f, &Vec::new());
        }
        self.hoist(exprs, f, depth);
        let size = self.sizes[depth];
        let partial = range.is_some();
        let range = range.unwrap_or_else(|| f.i64(0)..f.i64(size as i64));
        if depth + 1 == self.sizes.len() {
            return self.innermost(exprs, f, range, partial);
        }
        f.for_each(range.start, range.end, 1, |f, i| {
            exprs.space.push(Axis::At(i), size);
            exprs.enter();
            self.descend(exprs, f, depth + 1, None);
            exprs.leave();
            exprs.space.truncate(depth);
        });
    }

    /// Computes what does not change in the loops from `depth` on. The axes of those loops must be known for that.
    fn hoist(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize) {
        for size in &self.sizes[depth..] {
            exprs.space.push(Axis::Fixed(0), *size);
        }
        let coords = self.coords(exprs);
        exprs.hoist(f, self.nest.value, &coords, depth);
        exprs.space.truncate(depth);
    }

    /// The innermost loop: whole vectors, then the rest under a mask.
    fn innermost(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, range: Range<Val>, partial: bool) {
        let (lo, hi) = (range.start, range.end);
        if self.by_rows {
            return f.for_each(lo, hi, 1, |f, i| self.step(exprs, f, i, Width::Entry));
        }
        let lanes = i64::from(self.cx.lanes());
        let depth = self.sizes.len() - 1;
        let size = self.sizes[depth] as i64;
        if size == 1 {
            if !partial {
                return self.step(exprs, f, lo, Width::Entry);
            }
            let one = f.cmp(Cmp::Lt, lo, hi);
            return f.if_then(one, |f| self.step(exprs, f, lo, Width::Entry));
        }
        let (step, zero) = (f.i64(lanes), f.i64(0));
        let count = f.sub(hi, lo);
        let rest = f.urem(count, step);
        let whole = f.sub(hi, rest);
        if size >= lanes {
            f.for_each(lo, whole, lanes, |f, i| self.step(exprs, f, i, Width::Vector));
        }
        if size % lanes == 0 && self.rows.is_none_or(|rows| rows as i64 % lanes == 0) {
            return;
        }
        let some = f.cmp(Cmp::Gt, rest, zero);
        let mask = f.tail_mask(rest, self.cx.lanes());
        f.if_then(some, |f| self.step(exprs, f, whole, Width::Masked(mask)));
    }

    /// The entries from index `i` of the innermost axis on that one iteration computes.
    fn step(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, i: Val, width: Width) {
        let depth = self.sizes.len() - 1;
        let axis = exprs.space.push(Axis::At(i), self.sizes[depth]);
        (exprs.space.lane, exprs.space.mask) = match width {
            Width::Entry => (None, None),
            Width::Vector => (Some(axis), None),
            Width::Masked(mask) => (Some(axis), Some(mask)),
        };
        exprs.enter();
        let coords = self.coords(exprs);
        self.entry(exprs, f, &coords);
        exprs.leave();
        exprs.space.lane = None;
        exprs.space.mask = None;
        exprs.space.truncate(depth);
    }

    fn entry(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, coords: &Coords) {
        let val = exprs.value(f, self.nest.value, coords);
        exprs.write(f, self.nest, coords, val);
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
        let at = AffineExpr::entry(&place, &b.strides);
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
