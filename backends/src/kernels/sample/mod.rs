//! Choice of the next token from a row of logits by the whole team ([`seqc_abi::decoding`]): the most likely one, or one drawn from the most likely ones.
//!
//! Vectors of logits belong to groups in turn, so that neighbours are searched by different members. The `k` largest of the groups' largest logits are
//! logits of `k` tokens, so that the `k` most likely tokens are among those that reach the least of these. There are few more of them: one member ranks
//! them by the quotient that the host ranks by and draws from their weights.

mod draw;
mod search;
mod work;

use crate::kernel::{Cmp, Func, Module, Scalar, Team, Ty, Val};
use seqc_abi::{decoding::Decoding, symbols};
use std::mem::offset_of;
use work::{Work, best};

/// Name of the function that [`sample`] adds.
pub const SAMPLE: &str = "seqc_sample";

/// A row of logits, as the functions here are written for it.
#[derive(Clone, Copy)]
struct Row {
    /// Tokens.
    vocab: usize,
    /// Lanes of vectors.
    lanes: u32,
}

impl Row {
    /// How many groups are searched, a multiple of the lanes.
    fn groups(self) -> usize {
        let lanes = self.lanes as usize;
        let vectors = self.vocab.div_ceil(lanes);
        vectors.next_multiple_of(lanes).min(seqc_abi::decoding::GROUPS)
    }

    /// Runs `body` for each vector of logits of a group: with the first token, the mask of those that there are, and the logits, minus infinity elsewhere.
    fn vectors(
        self,
        f: &mut Func,
        logits: Val,
        group: Val,
        init: &[Val],
        body: impl FnOnce(&mut Func, Logits, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let (vectors, lanes) = (self.vocab.div_ceil(self.lanes as usize), i64::from(self.lanes));
        let (end, step, lanes) = (f.i64(vectors as i64), f.i64(self.groups() as i64), f.i64(lanes));
        let vocab = f.i64(self.vocab as i64);
        f.for_loop(group..end, step, init, |f, vector, carried| {
            let first = f.mul(vector, lanes);
            let left = f.sub(vocab, first);
            let mask = f.tail_mask(left, self.lanes);
            let ty = Ty::V(self.lanes, Scalar::F32);
            let (p, nothing) = (f.gep(logits, first, Scalar::F32), f.float(ty, f32::NEG_INFINITY));
            let values = f.masked_load(p, mask, ty);
            let values = f.select(mask, values, nothing);
            body(f, Logits { first, mask, values }, carried)
        })
    }
}

/// A vector of a row.
#[derive(Clone, Copy)]
struct Logits {
    first: Val,
    mask: Val,
    values: Val,
}

/// Adds `fn(decoding, logits, n, barrier, tid, threads)`, which the whole team calls: the token that comes behind token `n` of a step is in the work memory
/// when the first member returns. Returns its name, [`SAMPLE`].
pub fn sample(module: &mut Module, vocab: usize, lanes: u32) -> &'static str {
    let row = Row { vocab, lanes };
    search::add(module, row);
    draw::add(module, row);
    greedy(module, row);
    let params = [Ty::GLOBAL, Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::I64];
    let mut function = Func::new(SAMPLE, &params, None);
    let f = &mut function;
    let [decoding, logits, n, barrier, tid, threads] = std::array::from_fn(|i| f.param(i));
    let team = Team { tid, threads };
    let meet = |f: &mut Func| {
        f.call(symbols::BARRIER, &[barrier, tid, threads], None);
    };
    let work = f.load_slot(decoding, offset_of!(Decoding, work) / 8, Ty::GLOBAL);
    let k = f.load_slot(decoding, offset_of!(Decoding, top_k) / 8, Ty::I64);
    let at = f.i64(offset_of!(Decoding, temperature) as i64);
    let at = f.gep(decoding, at, Scalar::I8);
    let temperature = f.load(at, Ty::F32);
    meet(f);
    f.call(search::GROUPS, &[logits, work, tid, threads], None);
    meet(f);
    let one = f.i64(1);
    let greedy = f.cmp(Cmp::Le, k, one);
    f.if_else(
        greedy,
        |f| {
            f.on_member(team, 0, |f| {
                f.call(GREEDY, &[work], None);
            });
            Vec::new()
        },
        |f| {
            f.call(search::BOUND, &[work, k, tid, threads], None);
            meet(f);
            f.call(search::COUNT, &[logits, work, temperature, tid, threads], None);
            meet(f);
            f.call(search::COLLECT, &[logits, work, temperature, tid, threads], None);
            meet(f);
            f.on_member(team, 0, |f| {
                let draws = f.load_slot(decoding, offset_of!(Decoding, draws) / 8, Ty::GLOBAL);
                let at = f.gep(draws, n, Scalar::F32);
                let drawn = f.load_aligned(at, Ty::F32);
                f.call(draw::DRAW, &[work, decoding, drawn], None);
            });
            Vec::new()
        },
    );
    module.add(function);
    SAMPLE
}

/// Name of the function of the most likely token.
const GREEDY: &str = "seqc_sample_greedy";

/// Adds `fn(work)`: the first token of the largest logit.
fn greedy(module: &mut Module, row: Row) {
    let mut f = Func::new(GREEDY, &[Ty::GLOBAL], None);
    let work = Work::new(&mut f, row);
    let best = best(&mut f, &work);
    let ty = Ty::V(row.lanes, Scalar::F32);
    let (all, none) = (f.splat(best, row.lanes), f.float(ty, f32::INFINITY));
    let first = work.each_group(&mut f, &[none], |f, group, carried| {
        let [most, first] = [work.most, work.first].map(|table| group.load(f, table));
        let here = f.cmp(Cmp::Eq, most, all);
        let first = f.select(here, first, none);
        vec![f.min(first, carried[0])]
    });
    let first = f.reduce_min(first[0]);
    work.choose(&mut f, best, first);
    module.add(f);
}
