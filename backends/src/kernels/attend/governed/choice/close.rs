//! A block is closed: its keys and values in rows, its definitions in order, and what queries choose by into the arrays of blocks.

use super::{
    super::{
        super::layout::{PAGE, float_at, number_at, numbers_at, page_at, row_at},
        Governed,
        args::Args,
        code_layout::Side,
        entries::Numbers,
    },
    closing::Closing,
};
use crate::{
    kernel::{Cast, Func, Module, Scalar, Ty, Val},
    kernels::dequant::plain_vector,
};
use seqc_ir::policy::Blocks;

impl Governed<'_> {
    /// Adds `fn NAME_close(arguments…, group, row, block)`.
    pub(super) fn add_close(&self, module: &mut Module) {
        let Some(blocks) = self.blocks_policy().filter(|b| !b.closing.is_empty()) else {
            return;
        };
        let (mut function, args, own) = self.function("close", &[Ty::I64; 3]);
        let f = &mut function;
        let [group, row, block] = [own[0], own[1], own[2]];
        let own_slot = f.add(args.position, row);
        let numbers = Numbers::load(self, f, &args, row, group, own_slot);
        let (size, first) = (f.i64(blocks.size as i64), f.i64(blocks.first as i64));
        let start = f.mul(block, size);
        let start = f.add(start, first);
        self.rows_of_block(f, &numbers, blocks, start);
        let ratio = f.i64(self.attend.ratio() as i64);
        let low = f.mul(group, ratio);
        let several = self.policy.blocks_of_query_heads();
        let one = f.i64(1);
        let high = f.add(low, if several { ratio } else { one });
        f.for_each(low, high, 1, |f, head| {
            let closing = Closing {
                governed: self,
                blocks,
                numbers: numbers.clone().with_head(head),
                start,
            };
            for n in 0..blocks.closing.len() {
                closing.define(f, n);
            }
            self.keep_of_block(f, &closing, block, several);
        });
        module.add(function);
    }

    /// Rows of keys and values of a block's entries in scratch, with zeros behind the channels.
    pub(super) fn rows_of_block(&self, f: &mut Func, numbers: &Numbers, blocks: &Blocks, start: Val) {
        let (args, choice) = (&numbers.args, self.extra().choice);
        let (zero, size) = (f.i64(0), f.i64(blocks.size as i64));
        let page_size = f.i64(PAGE as i64);
        let none = f.i64(-1);
        let one = f.i64(1);
        f.for_loop(zero..size, one, &[none], |f, n, copied| {
            let slot = f.add(start, n);
            let (page, column) = (f.udiv(slot, page_size), f.urem(slot, page_size));
            let copied = self.copy_codes(f, args, [numbers.group, page], copied[0]);
            let to = self.row_of_block(f, args, choice.keys, n);
            self.key_into_row(f, numbers, [page, column], to);
            if blocks.reads_queries() {
                let placed = self.row_of_block(f, args, choice.placed, n);
                self.copy_row(f, to, placed);
                if let Some(turn) = self.policy.turn {
                    let place = f.convert(Cast::SignedToFloat, n, Scalar::F32);
                    self.turn_row(f, args, turn, placed, place);
                }
            }
            if let (Some(turn), Some(at)) = (self.policy.turn, &blocks.key) {
                let position = self.number_at_slot(f, numbers, slot, at);
                self.turn_row(f, args, turn, to, position);
            }
            if self.folds_values() {
                let to = self.row_of_block(f, args, choice.values, n);
                self.value_into_row(f, numbers, [page, column], to);
            }
            vec![copied]
        });
    }

    pub(super) fn row_of_block(&self, f: &mut Func, args: &Args, rows: usize, n: Val) -> Val {
        let rows = float_at(f, args.scratch, rows);
        row_at(f, rows, n, self.width16())
    }

    fn copy_row(&self, f: &mut Func, from: Val, to: Val) {
        let (zero, width) = (f.i64(0), f.i64(self.width16() as i64));
        f.for_each(zero, width, i64::from(self.attend.lanes()), |f, c| {
            let (from, to) = (f.gep(from, c, Scalar::F32), f.gep(to, c, Scalar::F32));
            let x = f.load(from, self.vector());
            f.store(x, to);
        });
    }

    fn key_into_row(&self, f: &mut Func, numbers: &Numbers, [page, column]: [Val; 2], to: Val) {
        let keys = self.stored(f, &numbers.args, [numbers.group, page], Side::Keys);
        self.clear_row(f, to);
        let (zero, width) = (f.i64(0), f.i64(self.attend.key_dim as i64));
        f.for_each(zero, width, 1, |f, c| {
            let row = numbers_at(f, keys.base, c, PAGE, keys.elem);
            let p = f.gep(row, column, keys.elem);
            let x = plain_vector(f, keys.stored, p, 1, None);
            let x = f.extract(x, 0);
            let p = f.gep(to, c, Scalar::F32);
            f.store(x, p);
        });
    }

    fn value_into_row(&self, f: &mut Func, numbers: &Numbers, [page, column]: [Val; 2], to: Val) {
        let values = self.stored(f, &numbers.args, [numbers.group, page], Side::Values);
        self.clear_row(f, to);
        for panel in self.attend.panels() {
            let from = number_at(f, values.base, PAGE * panel.start, values.elem);
            let from = numbers_at(f, from, column, panel.width, values.elem);
            let to = float_at(f, to, panel.start);
            let (zero, columns) = (f.i64(0), f.i64(panel.columns as i64));
            f.for_each(zero, columns, 1, |f, c| {
                let p = f.gep(from, c, values.elem);
                let x = plain_vector(f, values.stored, p, 1, None);
                let x = f.extract(x, 0);
                let p = f.gep(to, c, Scalar::F32);
                f.store(x, p);
            });
        }
    }

    fn clear_row(&self, f: &mut Func, row: Val) {
        let (zero, width) = (f.i64(0), f.i64(self.width16() as i64));
        let none = f.zero(self.vector());
        f.for_each(zero, width, i64::from(self.attend.lanes()), |f, c| {
            let p = f.gep(row, c, Scalar::F32);
            f.store(none, p);
        });
    }

    /// What queries choose by, into the arrays of blocks.
    fn keep_of_block(&self, f: &mut Func, closing: &Closing<'_>, block: Val, several: bool) {
        let (args, arrays) = (&closing.numbers.args, self.block_arrays());
        let (size, one) = (f.i64(PAGE as i64), f.i64(1));
        let (page, column) = (f.udiv(block, size), f.urem(block, size));
        let row = self.vector_row(f, closing.numbers.head);
        for (n, definition) in arrays.vectors.iter().enumerate() {
            let pages = f.load_slot(args.blocks, arrays.count + n, Ty::GLOBAL);
            let to = page_at(f, pages, page);
            let to = row_at(f, to, row, self.attend.key_dim * PAGE);
            let from = closing.channels_at(f, *definition);
            let (zero, width) = (f.i64(0), f.i64(self.attend.key_dim as i64));
            f.for_each(zero, width, 1, |f, c| {
                let p = f.gep(from, c, Scalar::F32);
                let x = f.load(p, Ty::F32);
                let to = row_at(f, to, c, PAGE);
                let p = f.gep(to, column, Scalar::F32);
                f.store(x, p);
            });
        }
        let ratio = f.i64(self.attend.ratio() as i64);
        let head = closing.numbers.head;
        let behind = f.add(head, if several { one } else { ratio });
        for (n, array) in arrays.of.iter().enumerate().take(closing.blocks.closing.len()) {
            let Some(array) = array else { continue };
            let x = closing.number(f, n);
            let blocks = Args {
                table: args.blocks,
                ..*args
            };
            f.for_each(head, behind, 1, |f, head| {
                let p = self.number_of(f, &blocks, *array, head, block);
                f.store(x, p);
            });
        }
    }
}
