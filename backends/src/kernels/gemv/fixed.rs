//! The vector of a product in fixed point, for processors that add up products of integers.
//!
//! Each block of 32 entries has a scale, a power of two, and integers `q` of 20 bits and a sign with `x = scale q`, rounded to the nearest:
//! an entry is off by at most 2^-20 of the largest one of its block. Where products of bytes are added, `q = 2^14 a + 2^7 b + c` is stored as three
//! signed bytes, so that a block's product with stored integers is three dot products, whose sums are exact; where those of 16-bit integers are,
//! `q = 2^10 a + b` is stored as two of them.

use super::{dot::Digits, records::Records, shape::Shape};
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Unary, Val},
    kernels::{dequant::byte, lanes::fold, layout::STRIP, math::power_of_two::nearest},
};

/// Bits below the highest one of the largest entry.
const BITS: i64 = 19;
/// Exponents of floats count from this one.
const BIAS: i64 = 127;

/// Writes the records of the vector.
pub(super) fn write(f: &mut Func, shape: &Shape<'_>, records: &Records) {
    let zero = f.i64(0);
    f.for_each(zero, shape.k, STRIP.into(), |f, k| block(f, shape, records, k));
}

/// The record of the block at entry `k`.
fn block(f: &mut Func, shape: &Shape<'_>, records: &Records, k: Val) {
    let vectors = shape.block(f, k, STRIP);
    let sizes: Vec<Val> = vectors.iter().map(|x| f.unary(Unary::Abs, *x)).collect();
    let largest = fold(f, &sizes, |f, a, b| f.max_number(a, b));
    let largest = f.reduce_max(largest);
    let exponent = exponent(f, largest);
    // What is not finite times zero is NaN, and so is the scale of its block then.
    let zero = f.zero(shape.vector());
    let nothing = vectors.iter().fold(zero, |sum, x| f.fma(*x, zero, sum));
    let nothing = f.reduce_add(nothing);
    let scale = power(f, exponent, -BITS);
    let scale = f.add(scale, nothing);
    let record = records.record(f, shape, k);
    let p = byte(f, record, records.scale_at());
    f.store(scale, p);
    let inverse = inverse_power(f, exponent, BITS);
    let inverse = f.splat(inverse, shape.lanes);
    let digit = records.dot.digit();
    for (v, x) in vectors.iter().enumerate() {
        let x = f.mul(*x, inverse);
        for (n, value) in cut(f, x, records.digits).into_iter().enumerate() {
            let at = n as i64 * i64::from(STRIP) + v as i64 * i64::from(shape.lanes);
            let p = byte(f, record, at * digit.bytes());
            let value = f.convert(Cast::Truncate, value, digit);
            f.store(value, p);
        }
    }
    let integers = records.integers_of_vector(f, record);
    for (n, start) in records.starts_of(f, &integers).into_iter().enumerate() {
        let p = byte(f, record, records.start_at(n as i64));
        f.store(start, p);
    }
}

/// The exponent of a float that is not negative, with its bias, as far as its power of two and the inverse, both moved by [`BITS`], are floats.
fn exponent(f: &mut Func, x: Val) -> Val {
    let bits = f.bitcast(x, Ty::S(Scalar::I32));
    let places = f.int(bits.ty, 23);
    let exponent = f.shr(bits, places);
    let (least, most) = (f.int(bits.ty, BITS + 1), f.int(bits.ty, 2 * BIAS));
    let exponent = f.max(exponent, least);
    f.min(exponent, most)
}

/// `2^(e + more)` for an exponent `e` with its bias.
fn power(f: &mut Func, exponent: Val, more: i64) -> Val {
    let more = f.int(exponent.ty, more);
    let exponent = f.add(exponent, more);
    of_exponent(f, exponent)
}

/// `2^(more - e)`.
fn inverse_power(f: &mut Func, exponent: Val, more: i64) -> Val {
    let more = f.int(exponent.ty, more + 2 * BIAS);
    let exponent = f.sub(more, exponent);
    of_exponent(f, exponent)
}

fn of_exponent(f: &mut Func, exponent: Val) -> Val {
    let places = f.int(exponent.ty, 23);
    let bits = f.shl(exponent, places);
    f.bitcast(bits, Ty::F32)
}

/// The digits of the integers nearest to small reals; those behind the first are signed, with a zero in the middle.
fn cut(f: &mut Func, x: Val, digits: Digits) -> Vec<Val> {
    let zero = f.zero(x.ty);
    let (q, origin) = (nearest(f, x).shifted, nearest(f, zero).shifted);
    let ints = x.ty.with(Scalar::I32);
    let (q, origin) = (f.bitcast(q, ints), f.bitcast(origin, ints));
    let q = f.sub(q, origin);
    let bits = digits.places;
    let (half, mask, places) = (
        f.int(ints, 1 << (bits - 1)),
        f.int(ints, (1 << bits) - 1),
        f.int(ints, bits),
    );
    let (mut rest, mut found) = (q, Vec::new());
    for _ in 1..digits.count {
        let moved = f.add(rest, half);
        let digit = f.and(moved, mask);
        rest = f.shr_signed(moved, places);
        found.push(f.sub(digit, half));
    }
    found.push(rest);
    found.reverse();
    found
}
