//! Writing new tokens into the pages: keys become columns, values rows.

use super::{
    layout::{PAGE, Strided, float_at, load, number_at, numbers_at, page_at, row_at, store, vectors},
    ticks::tick,
    variant::Attend,
};
use crate::{
    kernel::{Func, Module, Scalar, Team, Ty, Val},
    kernels::{dequant::float_to_plain, lanes::transpose},
};

pub(super) fn rows(attend: &Attend, module: &mut Module) -> String {
    let name = format!("{}_append", attend.name);
    let params = [
        vec![Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::GLOBAL],
        vec![Ty::I64; 4],
        vec![Ty::SCRATCH; usize::from(attend.spec.clock.has_ticks())],
    ]
    .concat();
    let mut f = Func::new(&name, &params, None);
    let (position, count) = (f.param(6), f.param(7));
    let team = Team {
        tid: f.param(8),
        threads: f.param(9),
    };
    let (groups, size) = (f.i64(attend.groups as i64), f.i64(PAGE as i64));
    let end = f.add(position, count);
    let (first, behind) = (f.udiv(position, size), f.ceil_div(end, size));
    let pages = f.sub(behind, first);
    let items = f.mul(pages, groups);
    f.team_for(team.cyclic(items), |f, item| {
        let (number, group) = (f.udiv(item, groups), f.urem(item, groups));
        let page = f.add(first, number);
        let start = f.mul(page, size);
        let next = f.add(start, size);
        let piece = Piece {
            attend,
            start,
            low: f.max(start, position),
            high: f.min(next, end),
        };
        let slot = attend.slot(f, page);
        let list = attend.spec.clock.has_ticks().then(|| f.param(10));
        let from = Rows::new(f, Strided::of_params(f, 0), group, attend.key_dim, list);
        let to = attend.head_page(f, f.param(4), slot, group, attend.key_dim);
        piece.keys(f, from, to);
        if attend.keeps_values() {
            let from = Rows::new(f, Strided::of_params(f, 2), group, attend.value_dim, list);
            let to = attend.head_page(f, f.param(5), slot, group, attend.value_width());
            piece.values(f, from, to);
        }
    });
    module.add(f);
    name
}

pub(super) fn stream(attend: &Attend, module: &mut Module) -> String {
    let name = format!("{}_append_stream", attend.name);
    if module.has(&name) {
        return name;
    }
    let params = [
        vec![Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64],
        vec![Ty::SCRATCH; usize::from(attend.spec.clock.has_ticks())],
    ]
    .concat();
    let mut f = Func::new(&name, &params, None);
    let list = attend.spec.clock.has_ticks().then(|| f.param(6));
    let (s, stride, pages) = (f.param(0), f.param(1), f.param(2));
    let (position, count, width) = (f.param(3), f.param(4), f.param(5));
    let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
    f.for_each(zero, count, 1, |f, t| {
        let token = f.add(position, t);
        let (page, column) = (f.udiv(token, size), f.urem(token, size));
        let slot = attend.slot(f, page);
        let row = list.map_or(t, |list| tick(f, list, t));
        let from = f.mul(row, stride);
        let from = f.gep(s, from, Scalar::F32);
        let to = page_at(f, pages, slot);
        f.for_each(zero, width, 1, |f, entry| {
            let p = f.gep(from, entry, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let row = row_at(f, to, entry, PAGE);
            let to = f.gep(row, column, Scalar::F32);
            f.store(x, to);
        });
    });
    module.add(f);
    name
}

/// Rows of the chunk, one head's part of each.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) rows: Strided,
    /// Position of the first row.
    pub(super) position: Val,
    /// Which rows tick, unless all do.
    pub(super) list: Option<Val>,
}

impl Rows {
    /// The part of head `group`, of `width` floats, of some rows.
    fn new(f: &mut Func, rows: Strided, group: Val, width: usize, list: Option<Val>) -> Rows {
        Rows {
            rows: Strided {
                base: row_at(f, rows.base, group, width),
                ..rows
            },
            position: f.param(6),
            list,
        }
    }

    fn row(&self, f: &mut Func, token: Val) -> Val {
        let t = f.sub(token, self.position);
        let t = self.list.map_or(t, |list| tick(f, list, t));
        self.rows.row(f, t)
    }
}

/// Consecutive keys.
struct KeyRows {
    /// The first one, and all others where these do not follow at equal distances.
    rows: Vec<Val>,
    /// Floats from one to the next where they do.
    stride: Val,
}

/// The new tokens of one page.
pub(super) struct Piece<'a> {
    pub(super) attend: &'a Attend,
    /// Position of the page's first token.
    pub(super) start: Val,
    /// Positions of the first new token, and behind the last.
    pub(super) low: Val,
    pub(super) high: Val,
}

impl Piece<'_> {
    /// Squares of tokens and entries are transposed in registers; tokens before and after them go one by one.
    pub(super) fn keys(&self, f: &mut Func, from: Rows, to: Val) {
        let lanes = i64::from(self.attend.lanes());
        let step = f.i64(lanes);
        let aligned = f.ceil_div(self.low, step);
        let aligned = f.mul(aligned, step);
        let first = f.min(aligned, self.high);
        let left = f.sub(self.high, first);
        let rest = f.urem(left, step);
        let last = f.sub(self.high, rest);
        f.for_each(self.low, first, 1, |f, token| self.key(f, token, from, to));
        f.for_each(first, last, lanes, |f, token| self.square(f, token, from, to));
        f.for_each(last, self.high, 1, |f, token| self.key(f, token, from, to));
    }

    /// Stores a number of a key or value, or a vector of them; with a mask, its lanes.
    fn store(&self, f: &mut Func, value: Val, to: Val, mask: Option<Val>) {
        let stored = float_to_plain(f, self.attend.stored(), value);
        store(f, stored, to, mask);
    }

    fn column(&self, f: &mut Func, token: Val, page: Val) -> Val {
        let column = f.sub(token, self.start);
        f.gep(page, column, self.attend.elem())
    }

    /// One key becomes a column.
    fn key(&self, f: &mut Func, token: Val, from: Rows, page: Val) {
        let row = from.row(f, token);
        let column = self.column(f, token, page);
        let (zero, e) = (f.i64(0), f.i64(self.attend.key_dim as i64));
        f.for_each(zero, e, 1, |f, i| {
            let p = f.gep(row, i, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let to = numbers_at(f, column, i, PAGE, self.attend.elem());
            self.store(f, x, to, None);
        });
    }

    /// As many keys as a vector has lanes become columns.
    fn square(&self, f: &mut Func, token: Val, from: Rows, page: Val) {
        let (lanes, e) = (self.attend.lanes() as usize, self.attend.key_dim);
        let rows = self.rows(f, token, from);
        let column = self.column(f, token, page);
        let whole = e - e % lanes;
        let (zero, end) = (f.i64(0), f.i64(whole as i64));
        f.for_each(zero, end, lanes as i64, |f, entry| {
            self.entries(f, &rows, column, entry, lanes);
        });
        if whole < e {
            self.entries(f, &rows, column, end, e - whole);
        }
    }

    /// As many rows as a vector has lanes, that of a token first.
    fn rows(&self, f: &mut Func, token: Val, from: Rows) -> KeyRows {
        let mut rows = vec![from.row(f, token)];
        if from.list.is_some() {
            for n in 1..i64::from(self.attend.lanes()) {
                let n = f.i64(n);
                let next = f.add(token, n);
                rows.push(from.row(f, next));
            }
        }
        KeyRows {
            rows,
            stride: from.rows.stride,
        }
    }

    /// `size` entries from `entry` on.
    fn entries(&self, f: &mut Func, keys: &KeyRows, column: Val, entry: Val, size: usize) {
        let lanes = self.attend.lanes();
        let mask = (size < lanes as usize).then(|| {
            let size = f.i64(size as i64);
            f.tail_mask(size, lanes)
        });
        let mut p = f.gep(keys.rows[0], entry, Scalar::F32);
        let mut loaded = Vec::new();
        for n in 1..=lanes as usize {
            loaded.push(load(f, p, lanes, mask));
            p = match keys.rows.get(n) {
                Some(row) => f.gep(*row, entry, Scalar::F32),
                None => f.gep(p, keys.stride, Scalar::F32),
            };
        }
        let elem = self.attend.elem();
        let to = numbers_at(f, column, entry, PAGE, elem);
        for (n, v) in transpose(f, &loaded).into_iter().enumerate().take(size) {
            let p = number_at(f, to, n * PAGE, elem);
            self.store(f, v, p, None);
        }
    }

    /// Values become rows of every panel.
    pub(super) fn values(&self, f: &mut Func, from: Rows, page: Val) {
        let (lanes, elem) = (self.attend.lanes(), self.attend.elem());
        f.for_each(self.low, self.high, 1, |f, token| {
            let (row, place) = (from.row(f, token), f.sub(token, self.start));
            for panel in self.attend.panels() {
                let from = float_at(f, row, panel.start);
                let to = number_at(f, page, PAGE * panel.start, elem);
                let to = numbers_at(f, to, place, panel.width, elem);
                vectors(f, lanes, panel.columns, |f, start, mask| {
                    let p = float_at(f, from, start);
                    let x = load(f, p, lanes, mask);
                    let p = number_at(f, to, start, elem);
                    self.store(f, x, p, mask);
                });
            }
        });
    }
}
