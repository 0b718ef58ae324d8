//! The vector of a product in fixed point, for processors that add up products of integers.
//!
//! Each block of 32 entries has a scale, a power of two, and integers `q` of 20 bits and a sign with `x = scale q`, rounded to the nearest:
//! an entry is off by at most 2^-20 of the largest one of its block. Where products of bytes are added, `q = 2^14 a + 2^7 b + c` is stored as three
//! signed bytes, so that a block's product with stored integers is three dot products, whose sums are exact; where those of 16-bit integers are,
//! `q = 2^10 a + b` is stored as two of them.

use super::shape::Shape;
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Unary, Val},
    kernels::{dequant::byte, lanes::fold, layout::Integers, math::power_of_two::nearest},
    targets::{DotBytes, DotWords, MicroKernels},
};

/// Entries of a block.
const BLOCK: i64 = 32;
/// Bytes of a vector.
const VECTOR: i64 = 16;
/// Bits below the highest one of the largest entry.
const BITS: i64 = 19;
/// Exponents of floats count from this one.
const BIAS: i64 = 127;

/// How a processor adds up products.
#[derive(Clone, Copy)]
pub(super) enum Dot {
    Bytes(DotBytes),
    Words(DotWords),
}

impl Dot {
    /// That of a target, if it has one.
    pub(super) fn of(micro_kernels: &MicroKernels) -> Option<Dot> {
        let bytes = micro_kernels.dot_bytes.map(Dot::Bytes);
        bytes.or(micro_kernels.dot_words.map(Dot::Words))
    }

    /// The type of what is multiplied.
    fn digit(self) -> Scalar {
        match self {
            Dot::Bytes(_) => Scalar::I8,
            Dot::Words(_) => Scalar::I16,
        }
    }

    /// Digits of an entry's integer.
    fn digits(self) -> i64 {
        match self {
            Dot::Bytes(_) => 3,
            Dot::Words(_) => 2,
        }
    }

    /// Bits of all digits but the first.
    fn places(self) -> i64 {
        match self {
            Dot::Bytes(_) => 7,
            Dot::Words(_) => 10,
        }
    }

    /// Entries of a vector of digits.
    fn entries(self) -> i64 {
        VECTOR / self.digit().bytes()
    }

    fn add(self, f: &mut Func, sums: Val, a: Val, b: Val) -> Val {
        match self {
            Dot::Bytes(dot) | Dot::Words(dot) => dot(f, sums, a, b),
        }
    }
}

/// Where the vector is in fixed point, on the stack of a kernel.
pub(super) struct Fixed {
    dot: Dot,
    /// For each block the first digits of all entries, then the others.
    digits: Val,
    /// For each block its scale.
    scales: Val,
}

impl Fixed {
    /// Lanes of a product.
    pub(super) const LANES: u32 = 4;

    /// Puts the vector into fixed point; `k` is a multiple of a block.
    pub(super) fn new(f: &mut Func, shape: &Shape<'_>, dot: Dot) -> Fixed {
        let (count, size) = (f.i64(dot.digits()), f.i64(BLOCK));
        let count = f.mul(shape.k, count);
        let digits = f.stack_of(count, dot.digit());
        let blocks = f.udiv(shape.k, size);
        let scales = f.stack_of(blocks, Scalar::F32);
        let fixed = Fixed { dot, digits, scales };
        let zero = f.i64(0);
        f.for_each(zero, shape.k, BLOCK, |f, k| fixed.round(f, shape, k));
        fixed
    }

    /// The block at entry `k` in fixed point.
    fn round(&self, f: &mut Func, shape: &Shape<'_>, k: Val) {
        let vectors = shape.block(f, k, BLOCK as u32);
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
        let p = self.scale_place(f, k);
        f.store(scale, p);
        let inverse = inverse_power(f, exponent, BITS);
        let inverse = f.splat(inverse, shape.lanes);
        let first = self.digits_place(f, k);
        for (v, x) in vectors.iter().enumerate() {
            let x = f.mul(*x, inverse);
            for (digit, value) in digits(f, x, self.dot).into_iter().enumerate() {
                let at = f.i64(digit as i64 * BLOCK + v as i64 * i64::from(shape.lanes));
                let p = f.gep(first, at, self.dot.digit());
                f.store(value, p);
            }
        }
    }

    fn scale_place(&self, f: &mut Func, k: Val) -> Val {
        let size = f.i64(BLOCK);
        let block = f.udiv(k, size);
        f.gep(self.scales, block, Scalar::F32)
    }

    fn digits_place(&self, f: &mut Func, k: Val) -> Val {
        let count = f.i64(self.dot.digits());
        let at = f.mul(k, count);
        f.gep(self.digits, at, self.dot.digit())
    }

    /// The scale of the block at entry `k`.
    pub(super) fn scale(&self, f: &mut Func, k: Val) -> Val {
        let p = self.scale_place(f, k);
        f.load(p, Ty::F32)
    }

    /// The block at entry `k`, as [`Fixed::product`] takes it.
    pub(super) fn block(&self, f: &mut Func, k: Val) -> Vec<Val> {
        let first = self.digits_place(f, k);
        let (entries, digit) = (self.dot.entries(), self.dot.digit());
        let vector = |at: i64| {
            let at = f.i64(at);
            let p = f.gep(first, at, digit);
            f.load(p, Ty::V(entries as u32, digit))
        };
        (0..self.dot.digits() * BLOCK)
            .step_by(entries as usize)
            .map(vector)
            .collect()
    }

    /// The product of a block with the integers of a stored one at `ptr`: lanes that add up to it, in units of the scale.
    pub(super) fn product(&self, f: &mut Func, kind: Integers, ptr: Val, x: &[Val]) -> Val {
        let integers = match self.dot {
            Dot::Bytes(_) => integers(f, kind, ptr),
            Dot::Words(_) => wide_integers(f, kind, ptr),
        };
        let (zero, places) = (f.zero(SUMS), f.int(SUMS, self.dot.places()));
        let total = x.chunks(integers.len()).fold(None, |above, digits| {
            let sums = match above {
                None => zero,
                Some(above) => f.shl(above, places),
            };
            let pairs = integers.iter().zip(digits);
            Some(pairs.fold(sums, |sums, (a, b)| self.dot.add(f, sums, *a, *b)))
        });
        f.convert(Cast::SignedToFloat, total.unwrap_or(zero), Scalar::F32)
    }
}

/// Sums of products.
const SUMS: Ty = Ty::V(Fixed::LANES, Scalar::I32);

fn load_bytes(f: &mut Func, ptr: Val, at: i64) -> Val {
    let p = byte(f, ptr, at);
    f.load(p, Ty::V(VECTOR as u32, Scalar::I8))
}

/// The integers of a stored block, in order.
fn integers(f: &mut Func, kind: Integers, ptr: Val) -> Vec<Val> {
    let low = load_bytes(f, ptr, 0);
    match kind {
        Integers::Bytes | Integers::Bits(_) => vec![low, load_bytes(f, ptr, VECTOR)],
        Integers::Nibbles => {
            let (fifteen, four) = (f.int(low.ty, 15), f.int(low.ty, 4));
            vec![f.and(low, fifteen), f.shr(low, four)]
        }
    }
}

/// The integers of a stored block as 16-bit integers, in order.
fn wide_integers(f: &mut Func, kind: Integers, ptr: Val) -> Vec<Val> {
    let half = |f: &mut Func, at: i64, op: Cast| {
        let p = byte(f, ptr, at);
        let bytes = f.load(p, Ty::V(VECTOR as u32 / 2, Scalar::I8));
        f.convert(op, bytes, Scalar::I16)
    };
    match kind {
        Integers::Bytes | Integers::Bits(_) => [0, 8, 16, 24].map(|at| half(f, at, Cast::SignExtend)).to_vec(),
        Integers::Nibbles => {
            let bytes = [0, 8].map(|at| half(f, at, Cast::ZeroExtend));
            let (fifteen, four) = (f.int(bytes[0].ty, 15), f.int(bytes[0].ty, 4));
            let low = bytes.map(|bytes| f.and(bytes, fifteen));
            let high = bytes.map(|bytes| f.shr(bytes, four));
            [low, high].concat()
        }
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

/// The digits of the integers nearest to small reals, the first one first; the others are signed, with a zero in the middle.
fn digits(f: &mut Func, x: Val, dot: Dot) -> Vec<Val> {
    let zero = f.zero(x.ty);
    let (q, origin) = (nearest(f, x).shifted, nearest(f, zero).shifted);
    let ints = x.ty.with(Scalar::I32);
    let (q, origin) = (f.bitcast(q, ints), f.bitcast(origin, ints));
    let q = f.sub(q, origin);
    let bits = dot.places();
    let (half, mask, places) = (
        f.int(ints, 1 << (bits - 1)),
        f.int(ints, (1 << bits) - 1),
        f.int(ints, bits),
    );
    let (mut rest, mut found) = (q, Vec::new());
    for _ in 1..dot.digits() {
        let moved = f.add(rest, half);
        let digit = f.and(moved, mask);
        rest = f.shr_signed(moved, places);
        found.push(f.sub(digit, half));
    }
    found.push(rest);
    found.reverse();
    found
        .iter()
        .map(|digit| f.convert(Cast::Truncate, *digit, dot.digit()))
        .collect()
}
