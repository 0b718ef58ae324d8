//! Sorting of keys by their scores, the largest first: scores in a list and positions in another. Equal scores stay in their order.
//!
//! Digits of eight bits, from the least on, are counted and dealt out (LSD radix sort), of integers that are ordered as the scores are.

use super::{layout::float_at, variant::Attend};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val};

/// Values of a digit.
pub(super) const DIGITS: usize = 256;

/// A scalar of 32 bits.
const I32: Ty = Ty::S(Scalar::I32);

/// Where the lists are, in floats from two pointers.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// Scores and positions, behind the first pointer.
    pub(super) keys: [usize; 2],
    /// Room for as many, behind the second.
    pub(super) room: [usize; 2],
    /// Room for the numbers of digits, behind the second.
    pub(super) counts: usize,
}

/// Scores and positions.
#[derive(Clone, Copy)]
struct Keys {
    scores: Val,
    positions: Val,
}

pub(super) fn sort_name(attend: &Attend) -> String {
    format!("{}_sort", attend.name)
}

/// Adds `fn(row, room, count)`, which sorts the first `count` keys.
pub(super) fn add_sort(attend: &Attend, module: &mut Module, places: Places) {
    let mut func = Func::new(sort_name(attend), &[Ty::SCRATCH, Ty::SCRATCH, Ty::I64], None);
    let f = &mut func;
    let (row, room, count) = (f.param(0), f.param(1), f.param(2));
    let mut keys = |base: Val, [scores, positions]: [usize; 2]| Keys {
        scores: float_at(f, base, scores),
        positions: float_at(f, base, positions),
    };
    let (near, far) = (keys(row, places.keys), keys(room, places.room));
    let counts = float_at(f, room, places.counts);
    order(f, near.scores, count);
    for digit in 0..4 {
        let (from, to) = if digit % 2 == 0 { (near, far) } else { (far, near) };
        count_digits(f, from, counts, digit, count);
        deal_out(f, [from, to], counts, digit, count);
    }
    order(f, near.scores, count);
    module.add(func);
}

fn word(f: &mut Func, base: Val, n: Val) -> Val {
    f.gep(base, n, Scalar::I32)
}

/// Scores become integers whose order is the opposite, without a sign, and back.
fn order(f: &mut Func, scores: Val, count: Val) {
    let zero = f.i64(0);
    f.for_each(zero, count, 1, |f, n| {
        let p = word(f, scores, n);
        let x = f.load(p, I32);
        let (none, ones) = (f.int(I32, 0), f.int(I32, i64::from(i32::MAX)));
        let negative = f.cmp(Cmp::Lt, x, none);
        let turned = f.xor(x, ones);
        let x = f.select(negative, x, turned);
        f.store(x, p);
    });
}

/// Pointer to the count of a key's digit.
fn of_digit(f: &mut Func, counts: Val, key: Val, digit: i64) -> Val {
    let (by, ones) = (f.int(I32, 8 * digit), f.int(I32, DIGITS as i64 - 1));
    let value = f.shr(key, by);
    let value = f.and(value, ones);
    let value = f.convert(Cast::ZeroExtend, value, Scalar::I64);
    word(f, counts, value)
}

/// How many keys have smaller digits, for each digit.
fn count_digits(f: &mut Func, keys: Keys, counts: Val, digit: i64, count: Val) {
    let (zero, all, one) = (f.i64(0), f.i64(DIGITS as i64), f.i64(1));
    f.for_each(zero, all, 1, |f, n| {
        let (p, none) = (word(f, counts, n), f.int(I32, 0));
        f.store(none, p);
    });
    f.for_each(zero, count, 1, |f, n| {
        let p = word(f, keys.scores, n);
        let key = f.load(p, I32);
        let p = of_digit(f, counts, key, digit);
        let (old, one) = (f.load(p, I32), f.int(I32, 1));
        let new = f.add(old, one);
        f.store(new, p);
    });
    let none = f.int(I32, 0);
    f.for_loop(zero..all, one, &[none], |f, n, before| {
        let p = word(f, counts, n);
        let many = f.load(p, I32);
        f.store(before[0], p);
        vec![f.add(before[0], many)]
    });
}

/// Keys go where those of smaller digits end.
fn deal_out(f: &mut Func, [from, to]: [Keys; 2], counts: Val, digit: i64, count: Val) {
    let zero = f.i64(0);
    f.for_each(zero, count, 1, |f, n| {
        let p = word(f, from.scores, n);
        let key = f.load(p, I32);
        let p = word(f, from.positions, n);
        let position = f.load(p, I32);
        let p = of_digit(f, counts, key, digit);
        let (place, one) = (f.load(p, I32), f.int(I32, 1));
        let next = f.add(place, one);
        f.store(next, p);
        let place = f.convert(Cast::ZeroExtend, place, Scalar::I64);
        let p = word(f, to.scores, place);
        f.store(key, p);
        let p = word(f, to.positions, place);
        f.store(position, p);
    });
}
