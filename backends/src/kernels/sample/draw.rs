//! The draw of one of the `k` most likely candidates, by one member.
//!
//! The host computes in double precision. Numbers of f32 tell which token it draws unless the drawn number is next to the boundary of two tokens, or two
//! quotients are so near to zero that their weights are equal in double precision: the choice is left to the host then.

use super::{
    Row,
    work::{Entries, Work, best, each, sum_where},
};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val},
    kernels::math,
};
use seqc_abi::decoding::CANDIDATES;

/// Name of the function.
pub(super) const DRAW: &str = "seqc_sample_draw";

/// Shares of all weight by which boundaries of tokens are uncertain: ten times what exponentials, and sums of at most 64 of them, are off.
const MARGIN: f32 = 1e-5;
/// Quotients further below zero than this have weights that differ in double precision where they differ.
const NEAR: f32 = 1e-8;

/// A function that draws.
struct Draw {
    work: Work,
    lanes: u32,
    /// How many candidates there are.
    count: Val,
    best: Val,
}

/// Adds `fn(work, k, temperature, drawn)`: chooses a token, with a number in `0..1`.
pub(super) fn add(module: &mut Module, row: Row) {
    let mut f = Func::new(DRAW, &[Ty::GLOBAL, Ty::I64, Ty::F32, Ty::F32], None);
    let [k, temperature, drawn] = [1, 2, 3].map(|n| f.param(n));
    let work = Work::new(&mut f, row);
    let (best, count) = (best(&mut f, &work), candidates(&mut f, &work));
    let (room, none) = (f.i64(CANDIDATES as i64), f.i64(-1));
    f.store(none, work.chosen);
    let fit = f.cmp(Cmp::Le, count, room);
    f.if_then(fit, |f| {
        let draw = Draw {
            work,
            lanes: row.lanes,
            count,
            best,
        };
        let near = draw.quotients(f, temperature);
        draw.keep(f, k);
        let total = draw.weigh(f);
        let token = draw.choose(f, total, drawn);
        let zero = f.f32(0.0);
        let apart = f.cmp(Cmp::Eq, near, zero);
        f.if_then(apart, |f| work.choose(f, best, token));
    });
    module.add(f);
}

/// How many candidates all groups have.
fn candidates(f: &mut Func, work: &Work) -> Val {
    let none = f.zero(Ty::V(work.row.lanes, Scalar::F32));
    let sum = work.each_group(f, &[none], |f, group, carried| {
        let counts = group.load(f, work.counts);
        vec![f.add(counts, carried[0])]
    });
    let sum = f.reduce_add(sum[0]);
    f.convert(Cast::FloatToSigned, sum, Scalar::I64)
}

impl Draw {
    fn each(&self, f: &mut Func, init: &[Val], body: impl FnOnce(&mut Func, Entries, &[Val]) -> Vec<Val>) -> Vec<Val> {
        each(f, self.count, self.lanes, init, body)
    }

    fn vector(&self) -> Ty {
        Ty::V(self.lanes, Scalar::F32)
    }

    /// Turns logits into quotients, minus infinity behind the candidates, and clears weights; above zero where one is next to zero.
    fn quotients(&self, f: &mut Func, temperature: Val) -> Val {
        let (work, lanes) = (&self.work, self.lanes);
        let (zero, one) = (f.zero(self.vector()), f.float(self.vector(), 1.0));
        let (lowest, near) = (f.float(self.vector(), f32::NEG_INFINITY), f.float(self.vector(), -NEAR));
        let (best, temperature) = (f.splat(self.best, lanes), f.splat(temperature, lanes));
        let found = self.each(f, &[zero], |f, entries, carried| {
            let left = f.sub(self.count, entries.at);
            let mask = f.tail_mask(left, lanes);
            let logits = entries.load(f, work.values);
            let below = f.sub(logits, best);
            let quotient = f.div(below, temperature);
            let quotient = f.select(mask, quotient, lowest);
            entries.store(f, quotient, work.values);
            entries.store(f, zero, work.weights);
            let (above, below) = (f.cmp(Cmp::Gt, quotient, near), f.cmp(Cmp::Lt, quotient, zero));
            let near = f.and(above, below);
            vec![sum_where(f, near, one, carried[0])]
        });
        f.reduce_add(found[0])
    }

    /// A number of a table.
    fn entry(f: &mut Func, table: Val, n: Val) -> Val {
        let p = f.gep(table, n, Scalar::F32);
        f.load_aligned(p, Ty::F32)
    }

    /// Gives the `k` most likely candidates a weight, of equal ones those of the smallest tokens.
    fn keep(&self, f: &mut Func, k: Val) {
        let (work, lanes) = (&self.work, self.lanes);
        let k = f.convert(Cast::SignedToFloat, k, Scalar::F32);
        let (zero, one) = (f.i64(0), f.i64(1));
        f.for_loop(zero..self.count, one, &[], |f, n, _| {
            let [quotient, token] = [work.values, work.tokens].map(|table| {
                let entry = Draw::entry(f, table, n);
                f.splat(entry, lanes)
            });
            let (none, ones) = (f.zero(self.vector()), f.float(self.vector(), 1.0));
            let likelier = self.each(f, &[none], |f, entries, carried| {
                let [quotients, tokens] = [work.values, work.tokens].map(|table| entries.load(f, table));
                let (larger, same) = (f.cmp(Cmp::Gt, quotients, quotient), f.cmp(Cmp::Eq, quotients, quotient));
                let before = f.cmp(Cmp::Lt, tokens, token);
                let same = f.and(same, before);
                let larger = f.or(larger, same);
                vec![sum_where(f, larger, ones, carried[0])]
            });
            let likelier = f.reduce_add(likelier[0]);
            let kept = f.cmp(Cmp::Lt, likelier, k);
            f.if_then(kept, |f| {
                let (one, p) = (f.f32(1.0), f.gep(work.weights, n, Scalar::F32));
                f.store(one, p);
            });
            Vec::new()
        });
    }

    /// Computes weights, and their sum.
    fn weigh(&self, f: &mut Func) -> Val {
        let (work, zero) = (&self.work, f.zero(self.vector()));
        let sum = self.each(f, &[zero], |f, entries, carried| {
            let [quotients, kept] = [work.values, work.weights].map(|table| entries.load(f, table));
            let kept = f.cmp(Cmp::Gt, kept, zero);
            let weights = math::exp_within(f, quotients, math::Range::NotPositive);
            let weights = f.select(kept, weights, zero);
            entries.store(f, weights, work.weights);
            vec![f.add(weights, carried[0])]
        });
        f.reduce_add(sum[0])
    }

    /// The token, as a real, at whose weight a share of all weight lies, in the order of tokens; -1 next to a boundary.
    fn choose(&self, f: &mut Func, total: Val, drawn: Val) -> Val {
        let (work, lanes) = (&self.work, self.lanes);
        let (target, margin) = (f.mul(drawn, total), f.f32(MARGIN));
        let margin = f.mul(margin, total);
        let (zero, one, none) = (f.i64(0), f.i64(1), f.f32(-1.0));
        let chosen = f.for_loop(zero..self.count, one, &[none], |f, n, carried| {
            let weight = Draw::entry(f, work.weights, n);
            let nothing = f.f32(0.0);
            let some = f.cmp(Cmp::Gt, weight, nothing);
            f.if_else(
                some,
                |f| {
                    let token = Draw::entry(f, work.tokens, n);
                    let (all, zero) = (f.splat(token, lanes), f.zero(self.vector()));
                    let before = self.each(f, &[zero], |f, entries, carried| {
                        let [tokens, weights] = [work.tokens, work.weights].map(|table| entries.load(f, table));
                        let before = f.cmp(Cmp::Lt, tokens, all);
                        vec![sum_where(f, before, weights, carried[0])]
                    });
                    let before = f.reduce_add(before[0]);
                    let end = f.add(before, weight);
                    let (low, high) = (f.add(before, margin), f.sub(end, margin));
                    let (above, below) = (f.cmp(Cmp::Gt, target, low), f.cmp(Cmp::Lt, target, high));
                    let here = f.and(above, below);
                    vec![f.select(here, token, carried[0])]
                },
                |_| vec![carried[0]],
            )
        });
        chosen[0]
    }
}
