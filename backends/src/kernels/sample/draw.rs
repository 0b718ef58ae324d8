//! The draw of one of the `k` most likely candidates, or of fewer where top-p and min-p cut these, by one member.
//!
//! The host computes in double precision. Numbers of f32 tell which token it draws unless the drawn number is next to the boundary of two tokens, a share of
//! probability next to that of a cut, or two quotients are so near to zero that their weights are equal in double precision: the choice is left to the host then.

use super::{
    row::Row,
    work::{Entries, Work, best, each, sum_where},
};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Unary, Val},
    kernels::math,
};
use seqc_abi::decoding::{CANDIDATES, Decoding};
use std::mem::offset_of;

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

/// Adds `fn(work, decoding, drawn)`: chooses a token, with a number in `0..1`.
pub(super) fn add(module: &mut Module, row: Row) {
    let mut f = Func::new(DRAW, &[Ty::GLOBAL, Ty::GLOBAL, Ty::F32], None);
    let (decoding, drawn) = (f.param(1), f.param(2));
    let k = f.load_slot(decoding, offset_of!(Decoding, top_k) / 8, Ty::I64);
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
        let temperature = real(f, decoding, offset_of!(Decoding, temperature));
        let near = draw.quotients(f, temperature);
        draw.keep(f, k);
        let total = draw.weigh(f);
        let (total, unsure) = draw.cut(f, decoding, total);
        let token = draw.choose(f, total, drawn);
        let (near, zero) = (f.add(near, unsure), f.f32(0.0));
        let apart = f.cmp(Cmp::Eq, near, zero);
        f.if_then(apart, |f| work.choose(f, best, token));
    });
    module.add(f);
}

/// A real in the lower half of a slot.
fn real(f: &mut Func, decoding: Val, offset: usize) -> Val {
    let at = f.i64(offset as i64);
    let at = f.gep(decoding, at, Scalar::I8);
    f.load(at, Ty::F32)
}

/// How far off a boundary of this size is, at most.
fn margin(f: &mut Func, of: Val) -> Val {
    let margin = f.f32(MARGIN);
    f.mul(margin, of)
}

/// Cuts of candidates.
struct Cuts {
    /// Whether there is top-p: only so much weight of the most likely ones is kept, and the token that reaches it.
    by_share: Val,
    enough: Val,
    margin: Val,
    /// Whether there is min-p: only weights of this size are kept, of which the largest is 1.
    by_weight: Val,
    least: Val,
    margin_of_least: Val,
}

impl Cuts {
    /// Whether a candidate with so much weight before it is left out, and whether that is uncertain.
    fn of(&self, f: &mut Func, before: Val, weight: Val) -> (Val, Val) {
        let reached = f.cmp(Cmp::Ge, before, self.enough);
        let reached = f.and(reached, self.by_share);
        let small = f.cmp(Cmp::Lt, weight, self.least);
        let small = f.and(small, self.by_weight);
        let near = |f: &mut Func, a: Val, b: Val, margin: Val| {
            let apart = f.sub(a, b);
            let apart = f.unary(Unary::Abs, apart);
            f.cmp(Cmp::Le, apart, margin)
        };
        let at_share = near(f, before, self.enough, self.margin);
        let at_share = f.and(at_share, self.by_share);
        let at_weight = near(f, weight, self.least, self.margin_of_least);
        let at_weight = f.and(at_weight, self.by_weight);
        (f.or(reached, small), f.or(at_share, at_weight))
    }
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

    /// Turns logits into quotients, minus infinity behind the candidates, of which none is kept yet; above zero where one is next to zero.
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
            entries.store(f, zero, work.kept);
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

    /// Keeps the `k` most likely candidates, of equal ones those of the smallest tokens.
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
                let likelier = self.likelier(f, entries, quotient, token);
                vec![sum_where(f, likelier, ones, carried[0])]
            });
            let likelier = f.reduce_add(likelier[0]);
            let kept = f.cmp(Cmp::Lt, likelier, k);
            f.if_then(kept, |f| {
                let (one, p) = (f.f32(1.0), f.gep(work.kept, n, Scalar::F32));
                f.store(one, p);
            });
            Vec::new()
        });
    }

    /// Which candidates stand before one in the order of likelihood.
    fn likelier(&self, f: &mut Func, entries: Entries, quotient: Val, token: Val) -> Val {
        let [quotients, tokens] = [self.work.values, self.work.tokens].map(|table| entries.load(f, table));
        let (larger, same) = (f.cmp(Cmp::Gt, quotients, quotient), f.cmp(Cmp::Eq, quotients, quotient));
        let before = f.cmp(Cmp::Lt, tokens, token);
        let same = f.and(same, before);
        f.or(larger, same)
    }

    /// Computes weights, 0 of candidates that are not kept, and their sum.
    fn weigh(&self, f: &mut Func) -> Val {
        let (work, zero) = (&self.work, f.zero(self.vector()));
        let sum = self.each(f, &[zero], |f, entries, carried| {
            let [quotients, kept] = [work.values, work.kept].map(|table| entries.load(f, table));
            let kept = f.cmp(Cmp::Gt, kept, zero);
            let weights = math::exp_within(f, quotients, math::Range::NotPositive);
            let weights = f.select(kept, weights, zero);
            entries.store(f, weights, work.weights);
            vec![f.add(weights, carried[0])]
        });
        f.reduce_add(sum[0])
    }

    /// Leaves out what top-p and min-p do, where there are such cuts: the weight of those that are left, and how many were next to a cut.
    fn cut(&self, f: &mut Func, decoding: Val, total: Val) -> (Val, Val) {
        let (zero, one) = (f.f32(0.0), f.f32(1.0));
        let top_p = real(f, decoding, offset_of!(Decoding, top_p));
        let min_p = real(f, decoding, offset_of!(Decoding, min_p));
        let (by_share, by_weight) = (f.cmp(Cmp::Lt, top_p, one), f.cmp(Cmp::Gt, min_p, zero));
        let some = f.or(by_share, by_weight);
        let cuts = Cuts {
            by_share,
            enough: f.mul(top_p, total),
            margin: margin(f, total),
            by_weight,
            least: min_p,
            margin_of_least: margin(f, min_p),
        };
        let left = f.if_else(
            some,
            |f| {
                let unsure = self.leave_out(f, &cuts);
                vec![self.weigh(f), unsure]
            },
            |_| vec![total, zero],
        );
        (left[0], left[1])
    }

    /// Leaves candidates out: how many of those that were kept are next to a cut.
    fn leave_out(&self, f: &mut Func, cuts: &Cuts) -> Val {
        let work = &self.work;
        let (zero, one, nothing) = (f.i64(0), f.i64(1), f.f32(0.0));
        let unsure = f.for_loop(zero..self.count, one, &[nothing], |f, n, carried| {
            let weight = Draw::entry(f, work.weights, n);
            let some = f.cmp(Cmp::Gt, weight, nothing);
            f.if_else(
                some,
                |f| {
                    let before = self.weight_before(f, n);
                    let (out, near) = cuts.of(f, before, weight);
                    f.if_then(out, |f| {
                        let p = f.gep(work.kept, n, Scalar::F32);
                        f.store(nothing, p);
                    });
                    let (one, zero) = (f.f32(1.0), f.f32(0.0));
                    let near = f.select(near, one, zero);
                    vec![f.add(carried[0], near)]
                },
                |_| vec![carried[0]],
            )
        });
        unsure[0]
    }

    /// The weight of all candidates before one in the order of likelihood.
    fn weight_before(&self, f: &mut Func, n: Val) -> Val {
        let [quotient, token] = [self.work.values, self.work.tokens].map(|table| {
            let entry = Draw::entry(f, table, n);
            f.splat(entry, self.lanes)
        });
        let none = f.zero(self.vector());
        let before = self.each(f, &[none], |f, entries, carried| {
            let likelier = self.likelier(f, entries, quotient, token);
            let weights = entries.load(f, self.work.weights);
            vec![sum_where(f, likelier, weights, carried[0])]
        });
        f.reduce_add(before[0])
    }

    /// The token, as a real, at whose weight a share of all weight lies, in the order of tokens; -1 next to a boundary.
    fn choose(&self, f: &mut Func, total: Val, drawn: Val) -> Val {
        let (work, lanes) = (&self.work, self.lanes);
        let (target, margin) = (f.mul(drawn, total), margin(f, total));
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
