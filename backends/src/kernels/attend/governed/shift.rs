//! Entries that move together: consecutive slots to earlier ones, in order.

use super::{
    super::layout::{PAGE, number_at, numbers_at, vectors},
    Governed,
    args::Args,
    code_layout::Side,
    coding::Moves,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};

/// Numbers of some slots of one page, which come from slots that may lie in two pages.
#[derive(Clone, Copy)]
struct Piece {
    /// Page and column of the first number that is written, and how many are, at most a vector.
    page: Val,
    column: Val,
    count: Val,
    /// Page and column of the first number that is read.
    from_page: Val,
    from_column: Val,
}

impl Governed<'_> {
    /// Adds `fn NAME_shift(arguments…, group, from, to, count)`: entries go to slots before theirs.
    pub(super) fn add_shift(&self, module: &mut Module) {
        let (mut function, args, own) = self.function("shift", &[Ty::I64; 4]);
        let f = &mut function;
        let [group, from, to, count] = [own[0], own[1], own[2], own[3]];
        let (size, end) = (f.i64(PAGE as i64), f.add(to, count));
        let by = f.sub(from, to);
        let (first, behind) = (f.udiv(to, size), f.ceil_div(end, size));
        let lanes = f.i64(i64::from(self.attend.lanes()));
        f.for_each(first, behind, 1, |f, page| {
            let start = f.mul(page, size);
            let next = f.add(start, size);
            let (low, high) = (f.max(start, to), f.min(next, end));
            f.for_each(low, high, i64::from(self.attend.lanes()), |f, slot| {
                let left = f.sub(high, slot);
                let source = f.add(slot, by);
                let piece = Piece {
                    page,
                    column: f.sub(slot, start),
                    count: f.min(left, lanes),
                    from_page: f.udiv(source, size),
                    from_column: f.urem(source, size),
                };
                self.shift_columns(f, &args, group, piece);
            });
        });
        if self.kept(Side::Values) {
            self.shift_values(f, &args, group, [from, to, count]);
        }
        if self.policy.keys.is_some() || self.policy.values.is_some() {
            let zero = f.i64(0);
            f.for_each(zero, count, 1, |f, n| {
                let (from, to) = (f.add(from, n), f.add(to, n));
                self.move_codes(f, &args, Moves { group, from, to });
            });
        }
        module.add(function);
    }

    /// Keys and numbers of entries, which are columns of pages.
    fn shift_columns(&self, f: &mut Func, args: &Args, group: Val, piece: Piece) {
        let (one, size) = (f.i64(1), f.i64(PAGE as i64));
        let end = f.add(piece.from_column, piece.count);
        let apart = f.cmp(Cmp::Gt, end, size);
        let next = f.add(piece.from_page, one);
        // The page behind is there only where numbers of it are read.
        let next = f.select(apart, next, piece.from_page);
        for n in 0..self.stream_of(0) {
            let shift = |f: &mut Func, row: Val| {
                let pages = [piece.page, piece.from_page, next].map(|page| self.numbers_of_page(f, args, n, row, page));
                self.shift_row(f, piece, apart, pages, Scalar::F32);
            };
            match self.brought_for_each(n) {
                true => self.each_member(f, group, shift),
                false => shift(f, group),
            }
        }
        if self.kept(Side::Keys) {
            let (elem, e) = (self.attend.elem(), self.attend.key_dim);
            let heads =
                [piece.page, piece.from_page, next].map(|page| self.attend.head_page(f, args.keys, page, group, e));
            let (zero, width) = (f.i64(0), f.i64(e as i64));
            f.for_each(zero, width, 1, |f, channel| {
                let rows = heads.map(|head| numbers_at(f, head, channel, PAGE, elem));
                self.shift_row(f, piece, apart, rows, elem);
            });
        }
    }

    /// One row of the pages that are written, read, and read behind that one.
    fn shift_row(&self, f: &mut Func, piece: Piece, apart: Val, [to, from, next]: [Val; 3], elem: Scalar) {
        let lanes = self.attend.lanes();
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        let ty = Ty::V(lanes, elem);
        let first = f.sub(size, piece.from_column);
        let p = f.gep(from, piece.from_column, elem);
        let here = f.min(first, piece.count);
        let mask = f.tail_mask(here, lanes);
        let x = f.masked_load(p, mask, ty);
        let all = f.tail_mask(piece.count, lanes);
        let back = f.sub(zero, first);
        let joined = f.if_else(
            apart,
            |f| {
                let p = f.gep(next, back, elem);
                let others = f.xor(all, mask);
                let y = f.masked_load(p, others, ty);
                vec![f.select(mask, x, y)]
            },
            |_| vec![x],
        );
        let p = f.gep(to, piece.column, elem);
        f.masked_store(joined[0], p, all);
    }

    /// Values, which are rows of pages.
    fn shift_values(&self, f: &mut Func, args: &Args, group: Val, [from, to, count]: [Val; 3]) {
        let (attend, elem) = (self.attend, self.attend.elem());
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        f.for_each(zero, count, 1, |f, n| {
            let places = [from, to].map(|first| {
                let slot = f.add(first, n);
                let (page, slot) = (f.udiv(slot, size), f.urem(slot, size));
                (
                    attend.head_page(f, args.values, page, group, attend.value_width()),
                    slot,
                )
            });
            for panel in attend.panels() {
                let [from, to] = places.map(|(page, slot)| {
                    let panel_of_page = number_at(f, page, PAGE * panel.start, elem);
                    numbers_at(f, panel_of_page, slot, panel.width, elem)
                });
                vectors(f, attend.lanes(), panel.width, |f, start, _| {
                    let [from, to] = [from, to].map(|row| number_at(f, row, start, elem));
                    let x = f.load(from, Ty::V(attend.lanes(), elem));
                    f.store(x, to);
                });
            }
        });
    }
}
