//! The entries with the largest values, and how many of them add up to a sum, found by halving the range of values.

use super::{
    super::layout::PAGE,
    Governed,
    entries::{Lanes, Numbers, count_of},
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val};
use seqc_ir::PairExpr;

/// Positions are below two to this power.
const POSITION_BITS: i64 = 25;
/// What no entry that competes has.
const NOTHING: i64 = i32::MIN as i64;

/// What is searched: keys of entries in an array.
struct Search<'n> {
    numbers: &'n Numbers,
    /// The array of keys: integers in the order of the values.
    keys: usize,
    /// Those of all key heads.
    heads: bool,
}

impl Governed<'_> {
    /// Stores in array `to` 1 for the `count` entries with the largest values of `by` among some, else 0.
    pub(super) fn top(&self, f: &mut Func, numbers: &Numbers, to: usize, [by, count, among]: [&PairExpr; 3]) {
        self.order(f, numbers, [by, among]);
        self.best(f, numbers, to, count, false);
    }

    /// Stores in array `to` 1 for the `count` entries with the largest keys that [`order`](Governed::order) stored, of this key head or of all,
    /// else 0.
    pub(super) fn best(&self, f: &mut Func, numbers: &Numbers, to: usize, count: &PairExpr, heads: bool) {
        let args = &numbers.args;
        let search = Search {
            numbers,
            keys: self.temporary(numbers.space),
            heads,
        };
        let count = self.number_of_all(f, numbers, count);
        let count = count_of(f, count);
        let least = self.least_of_best(f, &search, count);
        let above = self.count(f, &search, |f, key, _| against(f, Cmp::Gt, key, least));
        let left = f.sub(count, above);
        // Of those with this value the first ones: the smallest position up to which there are as many. Mostly that is all of them.
        let ties = self.count(f, &search, |f, key, _| against(f, Cmp::Eq, key, least));
        let several = f.cmp(Cmp::Gt, ties, left);
        let (first, high) = (f.i64(0), f.i64(1 << POSITION_BITS));
        let low = f.select(several, first, high);
        let (steps, none) = (f.i64(POSITION_BITS + 1), f.i64(0));
        let steps = f.select(several, steps, none);
        let last = self.halve(f, [low, high], steps, |f, middle| {
            let one = f.i64(1);
            let before = f.sub(middle, one);
            let found = self.count(f, &search, |f, key, position| {
                let (ties, early) = (against(f, Cmp::Eq, key, least), against(f, Cmp::Le, position, before));
                f.and(ties, early)
            });
            f.cmp(Cmp::Lt, found, left)
        });
        let zero = f.i64(0);
        let some = f.cmp(Cmp::Gt, left, zero);
        // Of the heads' entries at that position those of the first heads.
        let end = match heads {
            true => self.end_of_ties(f, &search, [least, last, left]),
            false => last,
        };
        let (one, entries) = (f.i64(1), numbers.last);
        let entries = f.add(entries, one);
        self.each_vector(f, entries, |f, at| {
            let (key, position) = self.key_and_position(f, numbers, search.keys, at);
            let (above, ties, early) = (
                against(f, Cmp::Gt, key, least),
                against(f, Cmp::Eq, key, least),
                against(f, Cmp::Le, position, end),
            );
            let some = f.splat(some, self.attend.lanes());
            let ties = f.and(ties, early);
            let ties = f.and(ties, some);
            let chosen = f.or(above, ties);
            let chosen = f.convert(Cast::UnsignedToFloat, chosen, Scalar::F32);
            let p = self.vector_of(f, args, to, numbers.group, at);
            f.store(chosen, p);
        });
    }

    /// Stores in array `to` how many of the largest positive values of `of` among some add up to a sum, the same number for all.
    pub(super) fn fewest(&self, f: &mut Func, numbers: &Numbers, to: usize, [of, sum, among]: [&PairExpr; 3]) {
        self.order(f, numbers, [of, among]);
        let search = Search {
            numbers,
            keys: self.temporary(numbers.space),
            heads: false,
        };
        let sum = self.number_of_all(f, numbers, sum);
        let (one, steps) = (f.i64(1), f.i64(32));
        // Keys of positive values are their bits.
        let (low, high) = (one, f.i64(i64::from(i32::MAX)));
        let least = self.halve(f, [low, high], steps, |f, middle| {
            let found = self.sum_from(f, &search, middle);
            f.cmp(Cmp::Ge, found, sum)
        });
        let above = self.count(f, &search, |f, key, _| against(f, Cmp::Gt, key, least));
        let ties = self.count(f, &search, |f, key, _| against(f, Cmp::Eq, key, least));
        let behind = f.add(least, one);
        let summed = self.sum_from(f, &search, behind);
        let value = f.convert(Cast::Truncate, least, Scalar::I32);
        let value = f.bitcast(value, Ty::F32);
        let left = f.sub(sum, summed);
        let left = f.div(left, value);
        let left = f.unary(Unary::Ceil, left);
        let (single, none) = (f.f32(1.0), f.f32(0.0));
        let ties = f.convert(Cast::SignedToFloat, ties, Scalar::F32);
        let left = f.max_number(left, single);
        let left = f.min(left, ties);
        let above = f.convert(Cast::SignedToFloat, above, Scalar::F32);
        let found = f.add(above, left);
        let nothing = f.cmp(Cmp::Le, sum, none);
        let found = f.select(nothing, none, found);
        let found = f.splat(found, self.attend.lanes());
        let entries = f.add(numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let p = self.vector_of(f, &numbers.args, to, numbers.group, at);
            f.store(found, p);
        });
    }

    /// The sum of the values whose keys are `least` or more, a key of a positive value.
    fn sum_from(&self, f: &mut Func, search: &Search<'_>, least: Val) -> Val {
        let (numbers, none) = (search.numbers, f.zero(self.vector()));
        self.added(f, numbers, none, |f, at| {
            let p = self.vector_of(f, &numbers.args, search.keys, numbers.group, at);
            let value = f.load(p, self.vector());
            let key = f.bitcast(value, value.ty.with(Scalar::I32));
            let counts = against(f, Cmp::Ge, key, least);
            f.select(counts, value, none)
        })
    }

    /// A value that as many as `count` entries reach, or the largest one that more of them do.
    fn least_of_best(&self, f: &mut Func, search: &Search<'_>, count: Val) -> Val {
        let (zero, one, two, steps) = (f.i64(0), f.i64(1), f.i64(2), f.i64(32));
        let (low, high) = (f.i64(NOTHING + 1), f.i64(i64::from(i32::MAX)));
        let ends = f.for_loop(zero..steps, one, &[low, high], |f, _, ends| {
            let open = f.cmp(Cmp::Lt, ends[0], ends[1]);
            f.if_else(
                open,
                |f| {
                    let middle = middle_of(f, ends, [one, two]);
                    let found = self.count(f, search, |f, key, _| against(f, Cmp::Ge, key, middle));
                    let (enough, exact) = (f.cmp(Cmp::Ge, found, count), f.cmp(Cmp::Eq, found, count));
                    let below = f.sub(middle, one);
                    let high = f.select(enough, ends[1], below);
                    // Nothing between this value and a larger one that as many entries reach is an entry's.
                    vec![f.select(enough, middle, ends[0]), f.select(exact, middle, high)]
                },
                |_| ends.to_vec(),
            )
        });
        ends[0]
    }

    /// The largest position of a tie that is chosen, of this key head, where `left` ties of all heads are, `last` is the largest position of
    /// one of any head, and at it those of lower heads come first.
    fn end_of_ties(&self, f: &mut Func, search: &Search<'_>, [least, last, left]: [Val; 3]) -> Val {
        let (zero, one) = (f.i64(0), f.i64(1));
        let tie = |f: &mut Func, key: Val, position: Val, cmp: Cmp| {
            let (ties, there) = (against(f, Cmp::Eq, key, least), against(f, cmp, position, last));
            f.and(ties, there)
        };
        let before = self.count(f, search, |f, key, position| tie(f, key, position, Cmp::Lt));
        let lower = f.for_loop(zero..search.numbers.group, one, &[zero], |f, group, sum| {
            let numbers = search.numbers.of_other_head(self, f, group);
            let found = self.count_in(f, &numbers, search.keys, |f, key, position| {
                tie(f, key, position, Cmp::Eq)
            });
            vec![f.add(sum[0], found)]
        });
        let taken = f.add(before, lower[0]);
        let chosen = f.cmp(Cmp::Lt, taken, left);
        let earlier = f.sub(last, one);
        f.select(chosen, last, earlier)
    }

    /// Stores in the first temporary array the keys of all entries that compete; of others, and of what is no number, [`NOTHING`].
    pub(super) fn order(&self, f: &mut Func, numbers: &Numbers, [by, among]: [&PairExpr; 2]) {
        let (one, keys) = (f.i64(1), self.temporary(numbers.space));
        let entries = f.add(numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let pairs = self.pairs(f, numbers, at, None);
            let value = pairs.real(f, &self.within(numbers, by));
            // The two zeros are equal.
            let zero = f.zero(value.ty);
            let value = f.add(value, zero);
            let competes = pairs.mask(f, &self.within(numbers, among));
            let number = f.cmp(Cmp::Eq, value, value);
            let inside = self.inside(f, at, numbers.last);
            let competes = f.and(competes, number);
            let competes = f.and(competes, inside);
            let bits = f.bitcast(value, value.ty.with(Scalar::I32));
            let (places, others, nothing) = (f.int(bits.ty, 31), f.int(bits.ty, 0x7fff_ffff), f.int(bits.ty, NOTHING));
            let sign = f.shr_signed(bits, places);
            let flipped = f.and(sign, others);
            let key = f.xor(bits, flipped);
            let key = f.select(competes, key, nothing);
            let key = f.bitcast(key, value.ty);
            let p = self.vector_of(f, &numbers.args, keys, numbers.group, at);
            f.store(key, p);
        });
    }

    /// Keys of a vector of entries, and their positions as integers.
    fn key_and_position(&self, f: &mut Func, numbers: &Numbers, keys: usize, at: Lanes) -> (Val, Val) {
        let p = self.vector_of(f, &numbers.args, keys, numbers.group, at);
        let key = f.load(p, self.vector());
        let key = f.bitcast(key, key.ty.with(Scalar::I32));
        let pairs = self.pairs(f, numbers, at, None);
        let position = pairs.real(f, &self.within(numbers, &PairExpr::KeyPos));
        (key, f.convert(Cast::FloatToSigned, position, Scalar::I32))
    }

    /// How many entries that are searched a condition on key and position holds for.
    fn count(&self, f: &mut Func, search: &Search<'_>, condition: impl FnOnce(&mut Func, Val, Val) -> Val) -> Val {
        if !search.heads {
            return self.count_in(f, search.numbers, search.keys, condition);
        }
        let (zero, one, groups) = (f.i64(0), f.i64(1), f.i64(self.attend.groups as i64));
        let found = f.for_loop(zero..groups, one, &[zero], |f, group, sum| {
            let numbers = search.numbers.of_other_head(self, f, group);
            let found = self.count_in(f, &numbers, search.keys, condition);
            vec![f.add(sum[0], found)]
        });
        found[0]
    }

    /// How many entries of a key head a condition on key and position holds for.
    fn count_in(
        &self,
        f: &mut Func,
        numbers: &Numbers,
        keys: usize,
        condition: impl FnOnce(&mut Func, Val, Val) -> Val,
    ) -> Val {
        let none = f.zero(Ty::V(self.attend.lanes(), Scalar::I32));
        let sum = self.added(f, numbers, none, |f, at| {
            let (key, position) = self.key_and_position(f, numbers, keys, at);
            let holds = condition(f, key, position);
            f.convert(Cast::ZeroExtend, holds, Scalar::I32)
        });
        f.convert(Cast::SignExtend, sum, Scalar::I64)
    }

    /// The sum of what vectors of entries of a key head have, one for each lane; `none` are zeros.
    fn added(&self, f: &mut Func, numbers: &Numbers, none: Val, of: impl FnOnce(&mut Func, Lanes) -> Val) -> Val {
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let entries = f.add(numbers.last, one);
        let pages = f.ceil_div(entries, size);
        let lanes = f.i64(i64::from(self.attend.lanes()));
        let found = f.for_loop(zero..pages, one, &[none], |f, page, found| {
            f.for_loop(zero..size, lanes, found, |f, start, found| {
                let x = of(f, Lanes { page, start });
                vec![f.add(found[0], x)]
            })
        });
        f.reduce_add(found[0])
    }

    /// The largest number of `low..=high` for which a condition holds that holds up to some number; `low` where it never does.
    fn halve(&self, f: &mut Func, [low, high]: [Val; 2], steps: Val, holds: impl FnOnce(&mut Func, Val) -> Val) -> Val {
        let (zero, one, two) = (f.i64(0), f.i64(1), f.i64(2));
        let ends = f.for_loop(zero..steps, one, &[low, high], |f, _, ends| {
            let middle = middle_of(f, ends, [one, two]);
            let good = holds(f, middle);
            let below = f.sub(middle, one);
            vec![f.select(good, middle, ends[0]), f.select(good, ends[1], below)]
        });
        ends[0]
    }
}

/// The number between two others, rounded up, so that it differs from the lower one where they do.
fn middle_of(f: &mut Func, ends: &[Val], [one, two]: [Val; 2]) -> Val {
    let sum = f.add(ends[0], ends[1]);
    let sum = f.add(sum, one);
    f.floor_div(sum, two)
}

/// Compares a vector of keys or positions with a number.
fn against(f: &mut Func, cmp: Cmp, x: Val, number: Val) -> Val {
    let number = f.convert(Cast::Truncate, number, Scalar::I32);
    let number = f.splat(number, x.ty.lanes());
    f.cmp(cmp, x, number)
}
