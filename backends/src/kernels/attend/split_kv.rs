//! Split keys and values: for one token and fewer heads (of all segments) than threads, each thread takes part of the pages; the partial results
//! are combined by their running maxima.

use super::{
    blocks::{Block, PageRange, QueryBlocks},
    exp2::exp2,
    layout::{float_at, load, row_at, store, vectors},
    top_k::{Best, ListOfRow},
    variant::Attend,
};
use crate::{
    kernel::{Cmp, Func, Scalar, TeamRange, Ty, Val},
    kernels::math::emit_unary,
};
use seqc_ir::{Normaliser, UNSEEN, UnaryOp};

/// Heads for each thread from which on pages are not split: then some threads have at most a quarter more than others, whatever
/// the processor is.
const ENOUGH: i64 = 4;

impl QueryBlocks<'_> {
    /// Splits the pages of one token between the threads where that pays, else the blocks. All threads decide alike.
    pub(super) fn split_or_run(&self, f: &mut Func, barrier: Val) {
        let (zero, one) = (f.i64(0), f.i64(1));
        let ratio = f.i64(self.attend.ratio() as i64);
        // The one token's pages are the same for all heads.
        let block = Block {
            group: zero,
            first: zero,
            rows: ratio,
        };
        let reach = self.reach(f, block);
        let single = f.cmp(Cmp::Eq, self.chunk.count, one);
        let (enough, groups) = (f.i64(ENOUGH), f.i64(self.attend.groups as i64));
        let enough = f.mul(enough, self.team.threads);
        let heads = f.mul(groups, self.segments);
        let few_heads = f.cmp(Cmp::Lt, heads, enough);
        let left = f.urem(heads, self.team.threads);
        let uneven = f.cmp(Cmp::Ne, left, zero);
        let least = f.i64(self.attend.machine.attention.shared_pages as i64);
        let least = f.mul(least, self.team.threads);
        let long = f.cmp(Cmp::Ge, reach.count, least);
        let pays = [few_heads, uneven, long].into_iter().fold(single, |a, b| f.and(a, b));
        f.if_then(pays, |f| {
            let TeamRange { low, high, .. } = f.team_indices(self.team, reach.count);
            self.each_block(f, |f, block| {
                self.sum_pages(f, block, PageRange { reach, low, high });
                self.store_share(f, block);
            });
            self.meet(f, barrier);
            let heads = f.i64(self.attend.choosing() as i64);
            f.team_for(self.team.cyclic(heads), |f, head| self.join(f, head));
            // The next segment's shares come to the same scratch.
            let several = f.cmp(Cmp::Gt, self.segments, one);
            f.if_then(several, |f| self.meet(f, barrier));
        });
        let otherwise = f.not(pays);
        f.if_then(otherwise, |f| self.run(f));
    }

    fn meet(&self, f: &mut Func, barrier: Val) {
        f.call(
            seqc_abi::symbols::BARRIER,
            &[barrier, self.team.tid, self.team.threads],
            None,
        );
    }

    /// The rows of one token, head by head, in blocks.
    fn each_block(&self, f: &mut Func, body: impl FnOnce(&mut Func, Block)) {
        let attend = self.attend;
        let (zero, groups, ratio) = (f.i64(0), f.i64(attend.groups as i64), f.i64(attend.ratio() as i64));
        f.for_each(zero, groups, 1, |f, group| {
            let size = attend.block_rows() as i64;
            f.for_each(zero, ratio, size, |f, first| {
                let (left, size) = (f.sub(ratio, first), f.i64(size));
                let rows = f.min(left, size);
                body(f, Block { group, first, rows });
            });
        });
    }

    fn share(&self, f: &mut Func, scratch: Val, head: Val) -> Val {
        let shares = float_at(f, scratch, self.scratch.shares);
        row_at(f, shares, head, self.attend.share_width())
    }

    /// Stores the partial result of this thread for a block.
    pub(super) fn store_share(&self, f: &mut Func, block: Block) {
        let (attend, zero) = (self.attend, f.i64(0));
        let (lanes, width) = (attend.lanes(), attend.found_width());
        let largest = float_at(f, self.mine, self.scratch.largest);
        let total = float_at(f, self.mine, self.scratch.total);
        let sums = float_at(f, self.mine, self.scratch.sums);
        let together = attend.spec.together as i64;
        f.for_each(zero, block.rows, together, |f, r| {
            let ratio = f.i64(attend.ratio() as i64);
            let base = f.mul(block.group, ratio);
            let row = f.add(block.first, r);
            let head = f.add(base, row);
            let together = f.i64(together);
            let (head, found) = (f.udiv(head, together), f.udiv(r, together));
            let to = self.share(f, self.mine, head);
            let from = row_at(f, sums, found, width);
            if let Some(best) = attend.best() {
                best.settle(attend, f, from, self.mine);
            }
            let (whole, step) = (f.i64(width as i64), i64::from(lanes));
            f.for_each(zero, whole, step, |f, start| {
                let p = f.gep(from, start, Scalar::F32);
                let x = load(f, p, lanes, None);
                let p = f.gep(to, start, Scalar::F32);
                store(f, x, p, None);
            });
            let p = f.gep(largest, r, Scalar::F32);
            let top = f.load(p, Ty::F32);
            let p = float_at(f, to, width);
            f.store(top, p);
            let p = row_at(f, total, r, lanes as usize);
            let sum = f.load(p, Ty::V(lanes, Scalar::F32));
            let sum = f.reduce_add(sum);
            let p = float_at(f, to, width + 1);
            f.store(sum, p);
        });
    }

    fn scratch_of(&self, f: &mut Func, thread: Val) -> Val {
        row_at(f, self.base, thread, self.scratch.bytes / 4)
    }

    /// A head's place in the result of the token.
    fn result(&self, f: &mut Func, head: Val) -> Val {
        let zero = f.i64(0);
        let token = self.attend.query_row(f, self.table, zero);
        let to = self.out.row(f, token);
        row_at(f, to, head, self.attend.result_width())
    }

    /// The best of the keys that all threads found for a head: those of the first thread have the first positions.
    fn join_best(&self, f: &mut Func, best: Best, head: Val) {
        let row = float_at(f, self.mine, self.scratch.sums);
        best.clear(f, row);
        let zero = f.i64(0);
        f.for_each(zero, self.team.threads, 1, |f, t| {
            let scratch = self.scratch_of(f, t);
            let share = self.share(f, scratch, head);
            let list = ListOfRow::of(self.attend, f, row, self.mine);
            best.join(self.attend, f, list, share);
        });
        best.settle(self.attend, f, row, self.mine);
        let to = self.result(f, head);
        best.write(f, row, to);
    }

    /// The result of one head from what all threads found.
    pub(super) fn join(&self, f: &mut Func, head: Val) {
        let (attend, zero, one) = (self.attend, f.i64(0), f.i64(1));
        if let Some(best) = attend.best() {
            return self.join_best(f, best, head);
        }
        let (lanes, width) = (attend.lanes(), attend.value_width());
        let none = f.f32(f32::NEG_INFINITY);
        let top = f.for_loop(zero..self.team.threads, one, &[none], |f, t, top| {
            let scratch = self.scratch_of(f, t);
            let share = self.share(f, scratch, head);
            let p = float_at(f, share, width);
            let other = f.load(p, Ty::F32);
            vec![f.max(other, top[0])]
        });
        let (nothing, empty) = (f.cmp(Cmp::Eq, top[0], none), f.f32(0.0));
        let common = f.select(nothing, empty, top[0]);
        let ty = Ty::V(lanes, Scalar::F32);
        let mut init = vec![empty];
        init.resize(1 + width / lanes as usize, f.zero(ty));
        let found = f.for_loop(zero..self.team.threads, one, &init, |f, t, found| {
            let scratch = self.scratch_of(f, t);
            let share = self.share(f, scratch, head);
            self.add_share(f, share, common, found)
        });
        let to = self.result(f, head);
        if attend.spec.log_sum {
            log_sum(attend, f, top[0], found[0], to);
        }
        let factor = inverse(attend, f, found[0]);
        vectors(f, lanes, attend.value_dim, |f, start, mask| {
            let sum = found[1 + start / lanes as usize];
            let x = factor.map_or(sum, |factor| f.mul(sum, factor));
            let p = float_at(f, to, start);
            store(f, x, p, mask);
        });
    }

    /// One thread's sum of weights and sums of values, brought to the common largest score `top`.
    fn add_share(&self, f: &mut Func, share: Val, top: Val, found: &[Val]) -> Vec<Val> {
        let (lanes, width) = (self.attend.lanes(), self.attend.value_width());
        let factor = if self.attend.spec.normaliser == Normaliser::Softmax {
            let p = float_at(f, share, width);
            let largest = f.load(p, Ty::F32);
            let difference = f.sub(largest, top);
            exp2(f, difference)
        } else {
            f.f32(1.0)
        };
        let p = float_at(f, share, width + 1);
        let total = f.load(p, Ty::F32);
        let mut next = vec![f.fma(total, factor, found[0])];
        let factor = f.splat(factor, lanes);
        for (n, sum) in found[1..].iter().enumerate() {
            let p = float_at(f, share, n * lanes as usize);
            let x = load(f, p, lanes, None);
            next.push(f.fma(x, factor, *sum));
        }
        next
    }
}

/// Stores the logarithm of the sum of exponentials behind a head's result: `2^largest` times the sum of weights.
pub(super) fn log_sum(attend: &Attend, f: &mut Func, largest: Val, total: Val, result: Val) {
    let (none, unseen) = (f.f32(0.0), f.f32(UNSEEN as f32));
    let log = emit_unary(f, UnaryOp::Log, total);
    let ln_2 = f.f32(std::f32::consts::LN_2);
    let sum = f.fma(largest, ln_2, log);
    // The largest score has weight 1.
    let empty = f.cmp(Cmp::Eq, total, none);
    let sum = f.select(empty, unseen, sum);
    let p = float_at(f, result, attend.value_dim);
    f.store(sum, p);
}

/// One over a sum of weights in all lanes, 0 when that is 0; `None` where weights are not normalised.
pub(super) fn inverse(attend: &Attend, f: &mut Func, total: Val) -> Option<Val> {
    if attend.spec.normaliser == Normaliser::None {
        return None;
    }
    let inverse = inverse_of(f, total);
    Some(f.splat(inverse, attend.lanes()))
}

/// One over a sum of weights, 0 when that is 0.
pub(super) fn inverse_of(f: &mut Func, total: Val) -> Val {
    let (zero, one) = (f.f32(0.0), f.f32(1.0));
    let empty = f.cmp(Cmp::Eq, total, zero);
    let inverse = f.div(one, total);
    f.select(empty, zero, inverse)
}
