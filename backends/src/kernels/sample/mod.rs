//! Choice of the next token from a row of logits by the whole team ([`seqc_abi::decoding`]): the most likely one, or one drawn from the most likely ones.
//!
//! Vectors of logits belong to groups in turn, so that neighbours are searched by different members. The `k` largest of the groups' largest logits are
//! logits of `k` tokens, so that the `k` most likely tokens are among those that reach the least of these. There are few more of them: one member ranks
//! them by the quotient that the host ranks by and draws from their weights.

mod draw;
mod row;
mod search;
mod work;

use crate::kernel::{Cmp, Func, Module, Scalar, Team, Ty};
use row::Row;
use seqc_abi::{decoding::Decoding, symbols};
use std::mem::offset_of;
use work::{Work, best};

/// Name of the function that [`sample`] adds.
pub const SAMPLE: &str = "seqc_sample";

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
