//! New entries: keys and values into their pages or codes, first values of their numbers.

use super::{
    super::{
        append::{Piece, Rows},
        layout::{PAGE, Strided, float_at, row_at},
    },
    Governed,
    args::Args,
    code_layout::Side,
    entries::Numbers,
    expr::{POSITION, RANKS},
};
use crate::kernel::{Cast, Func, Scalar, Ty, Val};

/// Consecutive rows that become entries of a key head.
#[derive(Clone, Copy)]
pub(super) struct NewRows {
    pub(super) group: Val,
    /// The first row, and the one behind the last.
    pub(super) first: Val,
    pub(super) end: Val,
    /// Slot of row 0, were it one of them.
    pub(super) base: Val,
}

impl Governed<'_> {
    /// Appends rows, unless another layer has.
    pub(super) fn append(&self, f: &mut Func, args: &Args, rows: NewRows) {
        let own = f.not(args.reads);
        f.if_then(own, |f| self.append_rows(f, args, rows));
    }

    fn append_rows(&self, f: &mut Func, args: &Args, rows: NewRows) {
        let (low, high) = (f.add(rows.base, rows.first), f.add(rows.base, rows.end));
        let size = f.i64(PAGE as i64);
        let (from, to) = (f.udiv(low, size), f.ceil_div(high, size));
        f.for_each(from, to, 1, |f, page| {
            let start = f.mul(page, size);
            let next = f.add(start, size);
            let piece = Piece {
                attend: self.attend,
                start,
                low: f.max(start, low),
                high: f.min(next, high),
            };
            if self.kept(Side::Keys) {
                let from = self.rows(
                    f,
                    Strided {
                        base: args.k,
                        stride: args.k_stride,
                    },
                    rows,
                    self.attend.key_dim,
                );
                let to = self
                    .attend
                    .head_page(f, args.keys, page, rows.group, self.attend.key_dim);
                piece.keys(f, from, to);
            }
            if self.kept(Side::Values) {
                let from = self.rows(
                    f,
                    Strided {
                        base: args.v,
                        stride: args.v_stride,
                    },
                    rows,
                    self.attend.value_dim,
                );
                let to = self
                    .attend
                    .head_page(f, args.values, page, rows.group, self.attend.value_width());
                piece.values(f, from, to);
            }
        });
        self.code_new(f, args, rows);
        self.first_numbers(f, args, rows);
    }

    fn rows(&self, f: &mut Func, rows: Strided, new: NewRows, width: usize) -> Rows {
        Rows {
            rows: Strided {
                base: row_at(f, rows.base, new.group, width),
                ..rows
            },
            position: new.base,
            list: None,
        }
    }

    /// Positions and first values of memories.
    fn first_numbers(&self, f: &mut Func, args: &Args, rows: NewRows) {
        let memories: Vec<f32> = self.policy.memories.iter().map(|m| m.init as f32).collect();
        let brought = 0..self.attend.spec.key_streams;
        if !self.evicts() && memories.is_empty() && brought.is_empty() {
            return;
        }
        f.for_each(rows.first, rows.end, 1, |f, row| {
            let slot = f.add(rows.base, row);
            if self.evicts() {
                let position = Numbers::row(self, f, args.scratch, row);
                let position = float_at(f, position, POSITION);
                let position = f.load(position, Ty::F32);
                let p = self.number_of(f, args, 0, rows.group, slot);
                f.store(position, p);
            }
            if self.ranks() {
                let rank = f.convert(Cast::SignedToFloat, slot, Scalar::F32);
                let p = self.number_of(f, args, RANKS, rows.group, slot);
                f.store(rank, p);
            }
            for n in brought {
                self.bring(f, args, n, [rows.group, row, slot]);
            }
            for (n, init) in memories.iter().enumerate() {
                let init = f.f32(*init);
                self.store_memory(f, args, n, rows.group, slot, init);
            }
        });
    }

    /// Stores what a row brings along of a stream of the layer, for all query heads that have their own number.
    fn bring(&self, f: &mut Func, args: &Args, n: usize, [group, row, slot]: [Val; 3]) {
        let array = self.first_brought() + n;
        let first = self.first_stream_slot() + 2 * n;
        let base = f.load_slot(args.table, first, Ty::GLOBAL);
        let stride = f.load_slot(args.table, first + 1, Ty::I64);
        let offset = f.mul(row, stride);
        let from = f.gep(base, offset, Scalar::F32);
        if !self.brought_for_each(array) {
            let x = f.load(from, Ty::F32);
            let p = self.number_of(f, args, array, group, slot);
            return f.store(x, p);
        }
        self.each_member(f, group, |f, head| {
            let p = f.gep(from, head, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let p = self.number_of(f, args, array, head, slot);
            f.store(x, p);
        });
    }

    /// Where the table has the rows of streams at the key, behind the tables of the layer.
    fn first_stream_slot(&self) -> usize {
        let spec = &self.attend.spec;
        self.streams() + 2 * (spec.query_streams + self.numbers()) + spec.tables
    }

    /// Code for each query head of a key head.
    pub(super) fn each_member(&self, f: &mut Func, group: Val, body: impl FnOnce(&mut Func, Val)) {
        let ratio = f.i64(self.attend.ratio() as i64);
        let first = f.mul(group, ratio);
        let behind = f.add(first, ratio);
        f.for_each(first, behind, 1, body);
    }

    /// Stores a memory of an entry, for all query heads that have their own.
    #[expect(clippy::too_many_arguments, reason = "which memory of which entry")]
    fn store_memory(&self, f: &mut Func, args: &Args, n: usize, group: Val, slot: Val, x: Val) {
        let array = self.first_memory() + n;
        if !self.each_head_has(array) {
            let p = self.number_of(f, args, array, group, slot);
            return f.store(x, p);
        }
        self.each_member(f, group, |f, head| {
            let p = self.number_of(f, args, array, head, slot);
            f.store(x, p);
        });
    }

    /// Pointer to an entry's number in array `n`.
    pub(super) fn number_of(&self, f: &mut Func, args: &Args, n: usize, group: Val, slot: Val) -> Val {
        let size = f.i64(PAGE as i64);
        let (page, column) = (f.udiv(slot, size), f.urem(slot, size));
        let row = self.numbers_of_page(f, args, n, group, page);
        f.gep(row, column, Scalar::F32)
    }
}
