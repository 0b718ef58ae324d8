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
    kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val},
    kernels::math::sin_cos_of_product,
};
use seqc_ir::policy::Turn;

/// Positions by which the keys of a page are turned.
#[derive(Clone, Copy)]
struct Positions {
    /// That of the first entry.
    position: Val,
    /// They follow one another.
    consecutive: Val,
}

impl Governed<'_> {
    /// Whether a sight turns keys by their slots.
    fn turns_by_slots(&self, sight: usize) -> bool {
        self.of_entry(&self.policy.sights[sight].key) == self.slot()
    }

    /// Pairs of which cosines and sines are kept, in whole vectors.
    pub(super) fn turned_pairs(&self) -> usize {
        let some = self.chooses() || (0..self.policy.sights.len()).any(|sight| self.turns_by_slots(sight));
        let turn = self.policy.turn.filter(|_| some);
        turn.map_or(0, |turn| turn.pairs.next_multiple_of(16))
    }

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
            let (a, b) = channels(f, turn, pair);
            let (a, b) = (f.gep(query, a, Scalar::F32), f.gep(query, b, Scalar::F32));
            turned(f, turn, [angle, position], [a, b], Ty::F32);
        });
    }

    /// Cosines and sines of the turns by the slots of the first page.
    pub(super) fn fill_turns(&self, f: &mut Func, args: &Args) {
        let pairs = self.turned_pairs();
        let Some(turn) = self.policy.turn.filter(|_| pairs > 0) else {
            return;
        };
        let turns = float_at(f, args.scratch, self.extra().turns);
        let sines = float_at(f, turns, pairs * PAGE);
        let (zero, count) = (f.i64(0), f.i64(turn.pairs as i64));
        let lanes = self.attend.lanes();
        f.for_each(zero, count, 1, |f, pair| {
            let p = f.gep(args.angles, pair, Scalar::F32);
            let angle = f.load(p, Ty::F32);
            let angle = f.splat(angle, lanes);
            let (cosines, sines) = (row_at(f, turns, pair, PAGE), row_at(f, sines, pair, PAGE));
            for start in (0..PAGE).step_by(lanes as usize) {
                let slots: Vec<f32> = (start..start + lanes as usize).map(|n| n as f32).collect();
                let slots = f.float_lanes(&slots);
                let (sin, cos) = sin_cos_of_product(f, angle, slots);
                let p = float_at(f, cosines, start);
                f.store(cos, p);
                let p = float_at(f, sines, start);
                f.store(sin, p);
            }
        });
    }

    /// Turns the copied keys of a page by consecutive slots: by the first one, and by the rest.
    fn turn_by_slots(&self, f: &mut Func, args: &Args, turn: Turn, first: Val) {
        let (pairs, lanes, ty) = (self.turned_pairs(), self.attend.lanes(), self.vector());
        let extra = self.extra();
        let turns = float_at(f, args.scratch, extra.turns);
        let (sines, firsts) = (float_at(f, turns, pairs * PAGE), float_at(f, turns, 2 * pairs * PAGE));
        let first_sines = float_at(f, firsts, pairs);
        let keys = float_at(f, args.scratch, extra.keys);
        let first = f.splat(first, lanes);
        let magnitude = f.float(ty, turn.magnitude as f32);
        for start in (0..turn.pairs).step_by(lanes as usize) {
            let left = f.i64((turn.pairs - start) as i64);
            let mask = f.tail_mask(left, lanes);
            let p = float_at(f, args.angles, start);
            let angles = f.masked_load(p, mask, ty);
            let (sin, cos) = sin_cos_of_product(f, angles, first);
            for (to, x) in [(firsts, cos), (first_sines, sin)] {
                let x = f.mul(x, magnitude);
                let p = float_at(f, to, start);
                f.store(x, p);
            }
        }
        let (zero, count) = (f.i64(0), f.i64(turn.pairs as i64));
        f.for_each(zero, count, 1, |f, pair| {
            let [first_cos, first_sin] = [firsts, first_sines].map(|base| {
                let p = f.gep(base, pair, Scalar::F32);
                let x = f.load(p, Ty::F32);
                f.splat(x, lanes)
            });
            let (a, b) = channels(f, turn, pair);
            let rows = [(keys, a), (keys, b), (turns, pair), (sines, pair)].map(|(base, n)| row_at(f, base, n, PAGE));
            for start in (0..PAGE).step_by(lanes as usize) {
                let [a, b, c, s] = rows.map(|row| float_at(f, row, start));
                let (x, y, c, s) = (f.load(a, ty), f.load(b, ty), f.load(c, ty), f.load(s, ty));
                let minus = f.mul(first_sin, s);
                let minus = f.neg(minus);
                let cos = f.fma(first_cos, c, minus);
                let plus = f.mul(first_cos, s);
                let sin = f.fma(first_sin, c, plus);
                let ys = f.mul(y, sin);
                let ys = f.neg(ys);
                let u = f.fma(x, cos, ys);
                let xs = f.mul(x, sin);
                let v = f.fma(y, cos, xs);
                f.store(u, a);
                f.store(v, b);
            }
        });
    }

    /// Turns the copied keys of a page in place to where a sight says.
    pub(super) fn turn_keys(&self, f: &mut Func, args: &Args, group: Val, page: Val, sight: usize) {
        let Some(turn) = self.policy.turn else { return };
        let size = f.i64(PAGE as i64);
        if self.turns_by_slots(sight) && !self.ranks() {
            let first = f.mul(page, size);
            let first = f.convert(Cast::SignedToFloat, first, Scalar::F32);
            return self.turn_by_slots(f, args, turn, first);
        }
        let first = self.positions_of_page(f, args, group, page, sight);
        if !self.turns_by_slots(sight) {
            return self.turn_by_positions(f, args, turn);
        }
        // Most pages have consecutive slots.
        f.if_else(
            first.consecutive,
            |f| {
                self.turn_by_slots(f, args, turn, first.position);
                Vec::new()
            },
            |f| {
                self.turn_by_positions(f, args, turn);
                Vec::new()
            },
        );
    }

    /// Stores the positions by which a sight turns the keys of a page.
    fn positions_of_page(&self, f: &mut Func, args: &Args, group: Val, page: Val, sight: usize) -> Positions {
        let positions = float_at(f, args.scratch, self.extra().positions);
        let (zero, lanes) = (f.i64(0), self.attend.lanes());
        let none = f.f32(0.0);
        let numbers = Numbers::of(self, f, args, vec![none; self.numbers()], [group, zero]);
        let mut consecutive = f.i1(true);
        let mut first = none;
        for start in (0..PAGE).step_by(lanes as usize) {
            let at = f.i64(start as i64);
            let pairs = self.pairs(f, &numbers, Lanes { page, start: at }, None);
            let position = pairs.real(f, &self.of_entry(&self.policy.sights[sight].key));
            let p = float_at(f, positions, start);
            f.store(position, p);
            if start == 0 {
                first = f.extract(position, 0);
            }
            let from: Vec<f32> = (start..start + lanes as usize).map(|n| n as f32).collect();
            let (from, all) = (f.float_lanes(&from), f.splat(first, lanes));
            let expected = f.add(from, all);
            let off = f.sub(position, expected);
            let off = f.unary(Unary::Abs, off);
            let off = f.reduce_max(off);
            let equal = f.cmp(Cmp::Eq, off, none);
            consecutive = f.and(consecutive, equal);
        }
        Positions {
            position: first,
            consecutive,
        }
    }

    /// Turns the copied keys of a page by the positions that are stored for them.
    fn turn_by_positions(&self, f: &mut Func, args: &Args, turn: Turn) {
        let extra = self.extra();
        let positions = float_at(f, args.scratch, extra.positions);
        let keys = float_at(f, args.scratch, extra.keys);
        let (zero, size, lanes) = (f.i64(0), f.i64(PAGE as i64), i64::from(self.attend.lanes()));
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
                let (a, b) = (f.gep(a, start, Scalar::F32), f.gep(b, start, Scalar::F32));
                turned(f, turn, [angle, position], [a, b], self.vector());
            });
        });
    }
}

/// The channels of a pair.
pub(super) fn channels(f: &mut Func, turn: Turn, pair: Val) -> (Val, Val) {
    let other = if turn.interleaved { 1 } else { turn.pairs as i64 };
    let other = f.i64(other);
    let first = if turn.interleaved { f.add(pair, pair) } else { pair };
    (first, f.add(first, other))
}

/// Turns a pair of channels in place, by an angle per position.
pub(super) fn turned(f: &mut Func, turn: Turn, [angle, position]: [Val; 2], [a, b]: [Val; 2], ty: Ty) {
    let (x, y) = (f.load(a, ty), f.load(b, ty));
    let magnitude = f.float(ty, turn.magnitude as f32);
    let (sin, cos) = sin_cos_of_product(f, angle, position);
    let cos = f.mul(cos, magnitude);
    let sin = f.mul(sin, magnitude);
    let (xc, ys) = (f.mul(x, cos), f.mul(y, sin));
    let (yc, xs) = (f.mul(y, cos), f.mul(x, sin));
    let (u, v) = (f.sub(xc, ys), f.add(yc, xs));
    f.store(u, a);
    f.store(v, b);
}
