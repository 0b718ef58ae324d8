//! Rotary positions of queries and keys that meet (Su et al. 2021, arXiv:2104.09864).

use super::{
    super::{
        blocks::QueryBlocks,
        layout::{PAGE, float_at, row_at},
    },
    Governed,
    args::Args,
    entries::{Lanes, Numbers},
};
use crate::{
    kernel::{Func, Scalar, Ty, Val},
    kernels::math::emit_unary,
};
use seqc_ir::{UnaryOp, policy::Turn};

impl Governed<'_> {
    /// Number of a sight.
    fn number_of_sight(&self, sight: &super::Attend) -> usize {
        let find = |all: &[super::Attend]| all.iter().position(|s| s.name == sight.name);
        find(&self.sights).or_else(|| find(&self.observed)).unwrap_or_default()
    }

    /// The function that copies pages for a sight: one for each where keys are turned, else one for all.
    pub(super) fn reader_of(&self, sight: &super::Attend) -> usize {
        if self.policy.turn.is_some() {
            self.number_of_sight(sight)
        } else {
            0
        }
    }

    /// Turns the query of a token in place to where the sight says.
    pub(super) fn turn_query(&self, f: &mut Func, args: &Args, blocks: &QueryBlocks<'_>, token: Val, query: Val) {
        let (sight, chunk) = (blocks.attend, blocks.chunk);
        let Some(turn) = self.policy.turn else { return };
        let observed = self.observed.iter().any(|s| s.name == sight.name);
        let zero = f.i64(0);
        let (at, last) = if observed {
            let (end, one) = (f.add(chunk.position, chunk.count), f.i64(1));
            (self.extra().earlier, f.sub(end, one))
        } else {
            (self.extra().numbers, f.add(chunk.position, token))
        };
        let all = float_at(f, args.scratch, at);
        let row = row_at(f, all, token, self.numbers());
        let values = (0..self.numbers()).map(|n| {
            let p = float_at(f, row, n);
            f.load(p, Ty::F32)
        });
        let values = values.collect();
        let numbers = Numbers::of(self, f, args, values, [zero, last]);
        let position = numbers.number(f, self, &self.policy.sights[self.number_of_sight(sight)].query);
        let pairs = f.i64(turn.pairs as i64);
        f.for_each(zero, pairs, 1, |f, pair| {
            let p = f.gep(args.angles, pair, Scalar::F32);
            let angle = f.load(p, Ty::F32);
            let angle = f.mul(angle, position);
            let (a, b) = channels(f, turn, pair);
            let (a, b) = (f.gep(query, a, Scalar::F32), f.gep(query, b, Scalar::F32));
            turned(f, turn, angle, [a, b], Ty::F32);
        });
    }

    /// Turns the copied keys of a page in place to where a sight says.
    pub(super) fn turn_keys(&self, f: &mut Func, args: &Args, group: Val, page: Val, sight: usize) {
        let Some(turn) = self.policy.turn else { return };
        let extra = self.extra();
        let positions = float_at(f, args.scratch, extra.positions);
        let keys = float_at(f, args.scratch, extra.keys);
        let (zero, size, lanes) = (f.i64(0), f.i64(PAGE as i64), i64::from(self.attend.lanes()));
        let none = f.f32(0.0);
        let numbers = Numbers::of(self, f, args, vec![none; self.numbers()], [group, zero]);
        f.for_each(zero, size, lanes, |f, start| {
            let pairs = self.pairs(f, &numbers, Lanes { page, start }, None);
            let position = pairs.real(f, &self.of_entry(&self.policy.sights[sight].key));
            let p = f.gep(positions, start, Scalar::F32);
            f.store(position, p);
        });
        let pairs = f.i64(turn.pairs as i64);
        f.for_each(zero, pairs, 1, |f, pair| {
            let p = f.gep(args.angles, pair, Scalar::F32);
            let angle = f.load(p, Ty::F32);
            let angle = f.splat(angle, self.attend.lanes());
            let (a, b) = channels(f, turn, pair);
            let (a, b) = (row_at(f, keys, a, PAGE), row_at(f, keys, b, PAGE));
            f.for_each(zero, size, lanes, |f, start| {
                let p = f.gep(positions, start, Scalar::F32);
                let position = f.load(p, self.vector());
                let angle = f.mul(angle, position);
                let (a, b) = (f.gep(a, start, Scalar::F32), f.gep(b, start, Scalar::F32));
                turned(f, turn, angle, [a, b], self.vector());
            });
        });
    }
}

/// The channels of a pair.
fn channels(f: &mut Func, turn: Turn, pair: Val) -> (Val, Val) {
    let other = if turn.interleaved { 1 } else { turn.pairs as i64 };
    let other = f.i64(other);
    let first = if turn.interleaved { f.add(pair, pair) } else { pair };
    (first, f.add(first, other))
}

/// Turns a pair of channels in place.
fn turned(f: &mut Func, turn: Turn, angle: Val, [a, b]: [Val; 2], ty: Ty) {
    let (x, y) = (f.load(a, ty), f.load(b, ty));
    let magnitude = f.float(ty, turn.magnitude as f32);
    let cos = emit_unary(f, UnaryOp::Cos, angle);
    let cos = f.mul(cos, magnitude);
    let sin = emit_unary(f, UnaryOp::Sin, angle);
    let sin = f.mul(sin, magnitude);
    let (xc, ys) = (f.mul(x, cos), f.mul(y, sin));
    let (yc, xs) = (f.mul(y, cos), f.mul(x, sin));
    let (u, v) = (f.sub(xc, ys), f.add(yc, xs));
    f.store(u, a);
    f.store(v, b);
}
