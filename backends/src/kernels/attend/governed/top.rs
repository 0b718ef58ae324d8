//! The entries with the largest values, found by halving the range of values.

use super::{
    super::layout::{PAGE, ceil_div},
    Governed,
    entries::{Lanes, Numbers, count_of},
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};
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
}

impl Governed<'_> {
    /// Stores in array `to` 1 for the `count` entries with the largest values of `by` among some, else 0.
    pub(super) fn top(&self, f: &mut Func, numbers: &Numbers, to: usize, [by, count, among]: [&PairExpr; 3]) {
        let args = &numbers.args;
        let search = Search {
            numbers,
            keys: self.temporary(numbers.space),
        };
        self.order(f, &search, by, among);
        let count = numbers.number(f, self, count);
        let count = count_of(f, count);
        // The largest value that at least `count` entries reach.
        let (low, high) = (f.i64(NOTHING + 1), f.i64(i64::from(i32::MAX)));
        let steps = f.i64(32);
        let least = self.halve(f, [low, high], steps, |f, middle| {
            let found = self.count(f, &search, |f, key, _| against(f, Cmp::Ge, key, middle));
            f.cmp(Cmp::Ge, found, count)
        });
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
        let (one, entries) = (f.i64(1), numbers.last);
        let entries = f.add(entries, one);
        self.each_vector(f, entries, |f, at| {
            let (key, position) = self.key_and_position(f, &search, at);
            let (above, ties, early) = (
                against(f, Cmp::Gt, key, least),
                against(f, Cmp::Eq, key, least),
                against(f, Cmp::Le, position, last),
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

    /// Stores the keys of all entries that compete; of others, and of what is no number, [`NOTHING`].
    fn order(&self, f: &mut Func, search: &Search<'_>, by: &PairExpr, among: &PairExpr) {
        let one = f.i64(1);
        let entries = f.add(search.numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let pairs = self.pairs(f, search.numbers, at, None);
            let value = pairs.real(f, &self.within(search.numbers, by));
            // The two zeros are equal.
            let zero = f.zero(value.ty);
            let value = f.add(value, zero);
            let competes = pairs.mask(f, &self.within(search.numbers, among));
            let number = f.cmp(Cmp::Eq, value, value);
            let inside = self.inside(f, at, search.numbers.last);
            let competes = f.and(competes, number);
            let competes = f.and(competes, inside);
            let bits = f.bitcast(value, value.ty.with(Scalar::I32));
            let (places, others, nothing) = (f.int(bits.ty, 31), f.int(bits.ty, 0x7fff_ffff), f.int(bits.ty, NOTHING));
            let sign = f.shr_signed(bits, places);
            let flipped = f.and(sign, others);
            let key = f.xor(bits, flipped);
            let key = f.select(competes, key, nothing);
            let key = f.bitcast(key, value.ty);
            let p = self.vector_of(f, &search.numbers.args, search.keys, search.numbers.group, at);
            f.store(key, p);
        });
    }

    /// Keys of a vector of entries, and their positions as integers.
    fn key_and_position(&self, f: &mut Func, search: &Search<'_>, at: Lanes) -> (Val, Val) {
        let p = self.vector_of(f, &search.numbers.args, search.keys, search.numbers.group, at);
        let key = f.load(p, self.vector());
        let key = f.bitcast(key, key.ty.with(Scalar::I32));
        let pairs = self.pairs(f, search.numbers, at, None);
        let position = pairs.real(f, &self.within(search.numbers, &PairExpr::KeyPos));
        (key, f.convert(Cast::FloatToSigned, position, Scalar::I32))
    }

    /// How many entries a condition on key and position holds for.
    fn count(&self, f: &mut Func, search: &Search<'_>, condition: impl FnOnce(&mut Func, Val, Val) -> Val) -> Val {
        let (zero, one) = (f.i64(0), f.i64(1));
        let size = f.i64(PAGE as i64);
        let entries = f.add(search.numbers.last, one);
        let pages = ceil_div(f, entries, size);
        let lanes = f.i64(i64::from(self.attend.lanes()));
        let none = f.zero(Ty::V(self.attend.lanes(), Scalar::I32));
        let found = f.for_loop(zero..pages, one, &[none], |f, page, found| {
            f.for_loop(zero..size, lanes, found, |f, start, found| {
                let (key, position) = self.key_and_position(f, search, Lanes { page, start });
                let holds = condition(f, key, position);
                let holds = f.convert(Cast::ZeroExtend, holds, Scalar::I32);
                vec![f.add(found[0], holds)]
            })
        });
        let sum = f.reduce_add(found[0]);
        f.convert(Cast::SignExtend, sum, Scalar::I64)
    }

    /// The largest number of `low..=high` for which a condition holds that holds up to some number; `low` where it never does.
    fn halve(&self, f: &mut Func, [low, high]: [Val; 2], steps: Val, holds: impl FnOnce(&mut Func, Val) -> Val) -> Val {
        let (zero, one, two) = (f.i64(0), f.i64(1), f.i64(2));
        let ends = f.for_loop(zero..steps, one, &[low, high], |f, _, ends| {
            // Rounded up, so that the last two numbers differ.
            let sum = f.add(ends[0], ends[1]);
            let sum = f.add(sum, one);
            let middle = f.floor_div(sum, two);
            let good = holds(f, middle);
            let below = f.sub(middle, one);
            vec![f.select(good, middle, ends[0]), f.select(good, ends[1], below)]
        });
        ends[0]
    }
}

/// Compares a vector of keys or positions with a number.
fn against(f: &mut Func, cmp: Cmp, x: Val, number: Val) -> Val {
    let number = f.convert(Cast::Truncate, number, Scalar::I32);
    let number = f.splat(number, x.ty.lanes());
    f.cmp(cmp, x, number)
}
