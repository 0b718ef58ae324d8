//! The parts of `2^x`: its limits, its whole part, the polynomial of its fraction, and the scaling by a power of two.

use super::{
    polynomial::{MAGIC, horner},
    range::Range,
};
use crate::kernel::{Func, Scalar, Val};
use std::ops::RangeInclusive;

/// The nearest integer to a small real.
pub(crate) struct Nearest {
    /// The integer, as a real.
    pub(crate) value: Val,
    /// A real that has it in its low bits.
    pub(crate) shifted: Val,
}

/// The nearest integer, by an addition that rounds to integers.
pub(crate) fn nearest(f: &mut Func, x: Val) -> Nearest {
    let magic = f.float(x.ty, MAGIC);
    let shifted = f.add(x, magic);
    Nearest {
        value: f.sub(shifted, magic),
        shifted,
    }
}

/// `2^r` for `|r| <= 1/2`.
pub(crate) fn fraction(f: &mut Func, r: Val) -> Val {
    horner(
        f,
        r,
        &[
            1.559_492_7e-4,
            1.340_673_5e-3,
            9.617_692e-3,
            5.550_310_4e-2,
            0.240_226_53,
            std::f32::consts::LN_2,
            1.0,
        ],
    )
}

/// Holds an exponent where it matters, by comparisons that NaN passes. At the upper limit the result is infinite, at the
/// lower one, where [`scaled_by_bits`] has no more powers, zero.
pub(crate) fn limited(f: &mut Func, x: Val, limits: RangeInclusive<f32>, range: Range) -> Val {
    let (low, high) = (f.float(x.ty, *limits.start()), f.float(x.ty, *limits.end()));
    let x = if range == Range::Any { f.min(high, x) } else { x };
    f.max(low, x)
}

/// `p 2^n`, `n` in the low bits of `shifted`.
pub(crate) fn scaled_by_bits(f: &mut Func, p: Val, shifted: Val, range: Range) -> Val {
    let ty = p.ty;
    // Half of the power, then doubled: 2^128 is not a float, but the result may be one.
    let bias = if range == Range::Any { 126 } else { 127 };
    let bits = f.bitcast(shifted, ty.with(Scalar::I32));
    let (bias, places) = (f.int(bits.ty, bias), f.int(bits.ty, 23));
    let bits = f.add(bits, bias);
    let bits = f.shl(bits, places);
    let scale = f.bitcast(bits, ty);
    let p = f.mul(p, scale);
    if range == Range::Any { f.add(p, p) } else { p }
}
