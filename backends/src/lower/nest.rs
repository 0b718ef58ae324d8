//! Loops over the entries of one stored value.

use super::{
    address::scalar_of,
    cx::Cx,
    elementwise::to_memory,
    expr::{Coords, ExprLowering},
    rows_of_sums::Loops,
    space::Axis,
    table,
    tile_of_sums::Tile,
};
use crate::kernel::{Cmp, Func, Ty, Val};
use seqc_passes::{
    affine::{AffineExpr, Stride, delinearise, linearise},
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
    let loops = Loops::new(cx, nest);
    let (range, rows) = match portion {
        Portion::All => (None, None),
        Portion::Outermost(range) => (Some(range), None),
        Portion::Entries { range, rows } => (Some(range), Some(rows)),
    };
    // Results of a part of the rows of a matrix are a part of all entries.
    let loops = Loops {
        shape: if rows.is_some() { sizes } else { loops.shape },
        flat: rows.is_some() || loops.flat,
        ..loops
    };
    Body::new(cx, nest, loops, rows).descend(&mut exprs, f, 0, range);
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
    let own = Loops::new(cx, nest);
    let loops = Loops {
        shape: sizes,
        flat: false,
        ..own
    };
    let body = Body::new(cx, nest, loops, None);
    if body.sizes.len() == 1 {
        let coords = ExprLowering::identity(1);
        return body.entries(&mut exprs, f, &[coords]);
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
    loops: Loops,
    /// Sizes of the loops.
    sizes: Vec<usize>,
    /// Rows of the matrix of whose results a part is computed.
    rows: Option<usize>,
    tile: Tile,
}

impl<'b, 'a> Body<'b, 'a> {
    fn new(cx: &'b Cx<'a>, nest: &'b Nest, loops: Loops, rows: Option<usize>) -> Body<'b, 'a> {
        Body {
            cx,
            nest,
            sizes: loops.sizes(),
            tile: Tile::new(&loops, cx.lanes()),
            loops,
            rows,
        }
    }
}

impl Body<'_, '_> {
    /// Indices of the value's axes inside the loops, for each of some entries of a tile.
    fn coords(&self, exprs: &ExprLowering<'_, '_>, entries: usize) -> Vec<Coords> {
        let (shape, own) = (&self.loops.shape, self.cx.graph().ty(self.nest.value).rank());
        if self.loops.flat {
            let entry = AffineExpr::axis(0);
            return match own == shape.len() {
                true => vec![delinearise(&entry, shape, &exprs.space.sizes)],
                false => vec![vec![entry]],
            };
        }
        let Tile { axis, stride, .. } = self.tile;
        let entry = |n: usize| {
            let mut coords = ExprLowering::identity(shape.len());
            if n > 0 {
                coords[axis] = coords[axis].plus(&AffineExpr::constant((n * stride) as i64));
            }
            match own == shape.len() {
                true => coords,
                false => vec![linearise(&coords, shape)],
            }
        };
        (0..entries).map(entry).collect()
    }

    /// Writes loop `depth` and those inside of it.
    fn descend(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize, range: Option<Range<Val>>) {
        if self.sizes.is_empty() {
            return self.entries(exprs, f, &[Vec::new()]);
        }
        let partial = range.is_some();
        let range = range.unwrap_or_else(|| f.i64(0)..f.i64(self.sizes[depth] as i64));
        let one = Loop {
            depth,
            entries: 1,
            partial,
        };
        if !self.tile.runs_along(depth) {
            return self.run(exprs, f, one, range);
        }
        // Whole tiles, then what is left.
        let Tile { entries, stride, .. } = self.tile;
        let step = entries * stride;
        let (count, by) = (f.sub(range.end, range.start), f.i64(step as i64));
        let rest = f.urem(count, by);
        let whole = f.sub(range.end, rest);
        self.run(exprs, f, Loop { entries, ..one }, range.start..whole);
        if partial || !self.sizes[depth].is_multiple_of(step) {
            self.run(exprs, f, Loop { partial: true, ..one }, whole..range.end);
        }
    }

    /// Writes one loop and those inside of it.
    fn run(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, of: Loop, range: Range<Val>) {
        self.hoist(exprs, f, of);
        if of.depth + 1 == self.sizes.len() {
            return self.innermost(exprs, f, of, range);
        }
        f.for_each(range.start, range.end, of.entries as i64, |f, i| {
            exprs
                .space
                .push(Axis::At(i), self.tile.first_of(of.entries, self.sizes[of.depth]));
            exprs.enter();
            if of.entries > 1 {
                let depth = of.depth + 1;
                let all = f.i64(0)..f.i64(self.sizes[depth] as i64);
                let inner = Loop {
                    depth,
                    partial: false,
                    ..of
                };
                self.run(exprs, f, inner, all);
            } else {
                self.descend(exprs, f, of.depth + 1, None);
            }
            exprs.leave();
            exprs.space.truncate(of.depth);
        });
    }

    /// Computes what does not change in a loop and those inside of it. Their axes must be known for that.
    fn hoist(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, of: Loop) {
        for size in &self.sizes[of.depth..] {
            exprs.space.push(Axis::Fixed(0), *size);
        }
        for coords in self.coords(exprs, of.entries) {
            exprs.hoist(f, self.nest.value, &coords, of.depth);
        }
        exprs.space.truncate(of.depth);
    }

    /// The innermost loop: whole vectors, then the rest under a mask.
    fn innermost(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, of: Loop, range: Range<Val>) {
        let (lo, hi) = (range.start, range.end);
        let entries = of.entries;
        let along = self.tile.runs_along(of.depth) && entries > 1;
        if self.loops.by_rows {
            let step = if along { entries } else { 1 };
            return f.for_each(lo, hi, step as i64, |f, i| self.step(exprs, f, of, Width::Entry, i));
        }
        let lanes = i64::from(self.cx.lanes());
        let size = self.sizes[of.depth] as i64;
        if along {
            let step = lanes * entries as i64;
            return f.for_each(lo, hi, step, |f, i| self.step(exprs, f, of, Width::Vector, i));
        }
        if size == 1 {
            if !of.partial {
                return self.step(exprs, f, of, Width::Entry, lo);
            }
            let one = f.cmp(Cmp::Lt, lo, hi);
            return f.if_then(one, |f| self.step(exprs, f, of, Width::Entry, lo));
        }
        let (by, zero) = (f.i64(lanes), f.i64(0));
        let count = f.sub(hi, lo);
        let rest = f.urem(count, by);
        let whole = f.sub(hi, rest);
        if size >= lanes {
            f.for_each(lo, whole, lanes, |f, i| self.step(exprs, f, of, Width::Vector, i));
        }
        if size % lanes == 0 && self.rows.is_none_or(|rows| rows as i64 % lanes == 0) {
            return;
        }
        let some = f.cmp(Cmp::Gt, rest, zero);
        let mask = f.tail_mask(rest, self.cx.lanes());
        f.if_then(some, |f| self.step(exprs, f, of, Width::Masked(mask), whole));
    }

    /// The entries from index `i` of the innermost axis on that one iteration computes.
    fn step(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, of: Loop, width: Width, i: Val) {
        let size = match self.tile.runs_along(of.depth) {
            true => self.tile.first_of(of.entries, self.sizes[of.depth]),
            false => self.sizes[of.depth],
        };
        let axis = exprs.space.push(Axis::At(i), size);
        (exprs.space.lane, exprs.space.mask) = match width {
            Width::Entry => (None, None),
            Width::Vector => (Some(axis), None),
            Width::Masked(mask) => (Some(axis), Some(mask)),
        };
        exprs.enter();
        let coords = self.coords(exprs, of.entries);
        self.entries(exprs, f, &coords);
        exprs.leave();
        exprs.space.lane = None;
        exprs.space.mask = None;
        exprs.space.truncate(of.depth);
    }

    /// Entries that share the loops of their sums.
    fn entries(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, all: &[Coords]) {
        if all.len() > 1 {
            exprs.sums_together(f, self.nest.value, all);
        }
        for coords in all {
            let val = exprs.value(f, self.nest.value, coords);
            exprs.write(f, self.nest, coords, val);
        }
    }
}

/// One loop over an axis.
#[derive(Clone, Copy)]
struct Loop {
    depth: usize,
    /// Entries of a tile that are computed together.
    entries: usize,
    /// It runs over a part of the axis.
    partial: bool,
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
