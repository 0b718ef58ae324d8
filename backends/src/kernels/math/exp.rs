//! Exponentials, specialised by properties of the exponent.

use super::{
    polynomial::{MAGIC, horner},
    power_of_two::{limited, scaled_by_bits},
    range::Range,
};
use crate::kernel::{Func, Val};

/// `ln 2` in two parts; a small integer times the first is exact.
pub(super) const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// `e^x`
pub fn exp(f: &mut Func, x: Val) -> Val {
    exp_within(f, x, Range::Any)
}

/// `e^x` for an `x` in a range.
pub fn exp_within(f: &mut Func, x: Val, range: Range) -> Val {
    exp_sum(f, x, None, range)
}

/// `e^(x + low)` for a `low` much smaller than 1.
pub(super) fn exp_sum(f: &mut Func, x: Val, low: Option<Val>, range: Range) -> Val {
    let ty = x.ty;
    let limits = match range {
        Range::Any => -87.3..=88.8,
        Range::NotPositive => -88.1..=0.0,
    };
    let x = limited(f, x, limits, range);
    let (log2e, magic) = (f.float(ty, std::f32::consts::LOG2_E), f.float(ty, MAGIC));
    let shifted = f.fma(x, log2e, magic);
    let n = f.sub(shifted, magic);
    let (ln_hi, ln_lo) = (f.float(ty, -LN2.0), f.float(ty, -LN2.1));
    let r = f.fma(n, ln_hi, x);
    let mut r = f.fma(n, ln_lo, r);
    if let Some(low) = low {
        r = f.add(r, low);
    }
    let p = horner(
        f,
        r,
        &[
            1.381_454e-3,
            8.368_745e-3,
            4.166_839e-2,
            0.166_665_21,
            0.499_999_94,
            1.0,
            1.0,
        ],
    );
    scaled_by_bits(f, p, shifted, range)
}
