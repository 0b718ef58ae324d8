//! Running values of a block's rows: from empty sums before the first page to results after the last.

use super::{
    blocks::{Block, QueryBlocks, Row},
    layout::{float_at, load, row_at, store, vectors},
    score,
    split_kv::{inverse, log_sum},
    top_k::Best,
};
use crate::kernel::{Cmp, Func, Scalar, Ty, Val};
use seqc_ir::Normaliser;

impl QueryBlocks<'_> {
    /// Stores scaled queries, empty sums, and minus infinity as the running maximum.
    pub(super) fn initialise(&self, f: &mut Func, block: Block) {
        self.bound_streams(f, block);
        let zero = f.i64(0);
        f.for_each(zero, block.rows, 1, |f, r| {
            self.load_query(f, block, r);
            self.empty_row(f, r);
        });
    }

    /// Stores the scaled query of a row; returns where.
    pub(super) fn load_query(&self, f: &mut Func, block: Block, r: Val) -> Val {
        let (attend, lanes) = (self.attend, self.attend.lanes());
        let direct = attend.spec.normaliser == Normaliser::Softmax && attend.spec.score.is_none();
        let scale = attend.spec.scale * if direct { score::LOG2_E } else { 1.0 };
        let scale = f.float(Ty::V(lanes, Scalar::F32), scale as f32);
        let queries = float_at(f, self.mine, self.scratch.queries);
        let Row { token, head } = self.row(f, block, r);
        let from = self.queries.row(f, token);
        let from = row_at(f, from, head, attend.key_dim);
        let to = row_at(f, queries, r, attend.key_dim);
        vectors(f, lanes, attend.key_dim, |f, start, mask| {
            let p = float_at(f, from, start);
            let x = load(f, p, lanes, mask);
            let x = f.mul(x, scale);
            let p = float_at(f, to, start);
            store(f, x, p, mask);
        });
        to
    }

    /// Stores empty sums of a row, and minus infinity as its running maximum.
    pub(super) fn empty_row(&self, f: &mut Func, r: Val) {
        let (attend, lanes) = (self.attend, self.attend.lanes());
        let [largest, total, sums] =
            [self.scratch.largest, self.scratch.total, self.scratch.sums].map(|at| float_at(f, self.mine, at));
        let (none, empty) = (f.f32(f32::NEG_INFINITY), f.zero(Ty::V(lanes, Scalar::F32)));
        let p = f.gep(largest, r, Scalar::F32);
        f.store(none, p);
        let p = row_at(f, total, r, lanes as usize);
        f.store(empty, p);
        for number in 0..attend.spec.sums_behind().len() {
            let (p, none) = (attend.carried_sum(f, self.mine, number, r), f.f32(0.0));
            f.store(none, p);
        }
        if let Some(best) = attend.best() {
            let (choice, zero) = (best.choice(f, r), f.i64(0));
            let first = f.cmp(Cmp::Eq, choice.part, zero);
            return f.if_then(first, |f| {
                let row = best.row(f, sums, choice.number);
                best.clear(f, row);
            });
        }
        let to = row_at(f, sums, r, attend.value_width());
        vectors(f, lanes, attend.value_width(), |f, start, _| {
            let p = float_at(f, to, start);
            f.store(empty, p);
        });
    }

    /// The best keys of each choice into the rows of the result.
    fn write_choices(&self, f: &mut Func, block: Block, best: Best) {
        let (attend, zero) = (self.attend, f.i64(0));
        let sums = float_at(f, self.mine, self.scratch.sums);
        f.for_each(zero, block.rows, best.together as i64, |f, r| {
            let Row { token, head } = self.row(f, block, r);
            let to = self.out.row(f, token);
            let head = best.choice(f, head).number;
            let to = row_at(f, to, head, attend.result_width());
            let choice = best.choice(f, r);
            let row = best.row(f, sums, choice.number);
            best.settle(attend, f, row, self.mine);
            best.write(f, row, to);
        });
    }

    /// Sums divided by the sum of weights, into the rows of the result.
    pub(super) fn write_results(&self, f: &mut Func, block: Block) {
        let (attend, lanes, zero) = (self.attend, self.attend.lanes(), f.i64(0));
        if let Some(best) = attend.best() {
            return self.write_choices(f, block, best);
        }
        let total = float_at(f, self.mine, self.scratch.total);
        let sums = float_at(f, self.mine, self.scratch.sums);
        f.for_each(zero, block.rows, 1, |f, r| {
            let Row { token, head } = self.row(f, block, r);
            let to = self.out.row(f, token);
            let to = row_at(f, to, head, attend.result_width());
            let from = row_at(f, sums, r, attend.value_width());
            let p = row_at(f, total, r, lanes as usize);
            let total = f.load(p, Ty::V(lanes, Scalar::F32));
            let total = f.reduce_add(total);
            if attend.spec.log_sum {
                let largest = float_at(f, self.mine, self.scratch.largest);
                let p = f.gep(largest, r, Scalar::F32);
                let largest = f.load(p, Ty::F32);
                log_sum(attend, f, largest, total, to);
            }
            let factor = inverse(attend, f, total);
            vectors(f, lanes, attend.value_dim, |f, start, mask| {
                let p = float_at(f, from, start);
                let x = load(f, p, lanes, None);
                let x = factor.map_or(x, |factor| f.mul(x, factor));
                let p = float_at(f, to, start);
                store(f, x, p, mask);
            });
        });
    }
}
