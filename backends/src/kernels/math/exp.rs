//! Exponentials: `e^x` and `e^(a b)`, with what is known of the exponent.

use super::{MAGIC, horner};
use crate::kernel::{Func, Intrinsic, Scalar, Ty, Unary, Val};

/// `ln 2` in two parts; a small integer times the first is exact.
pub(super) const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// Lanes of the registers that have [`scaled`] as an instruction.
const SCALING: u32 = 16;

/// What is known of an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Nothing.
    Any,
    /// It is zero, negative or NaN.
    NotPositive,
}

/// `e^x`
pub fn exp(f: &mut Func, x: Val) -> Val {
    exp_within(f, x, Range::Any)
}

/// `e^x` for an `x` in a range.
pub fn exp_within(f: &mut Func, x: Val, range: Range) -> Val {
    exp_sum(f, x, None, range)
}

/// `e^(x + low)` for a `low` that is small beside 1.
pub(super) fn exp_sum(f: &mut Func, x: Val, low: Option<Val>, range: Range) -> Val {
    let ty = x.ty;
    let (low_limit, high_limit) = match range {
        Range::Any => (-87.3, 88.8),
        Range::NotPositive => (-88.1, 0.0),
    };
    let x = limited(f, x, low_limit, high_limit, range);
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
    times_power(f, p, shifted, range)
}

/// `e^(a b)`: for the power of two only one factor is scaled, so that a loop over the other does it once. The product is
/// rounded like any other, which for large results says more than the error of the function. `native`: lanes of a register.
pub fn exp_product(f: &mut Func, a: Val, b: Val, range: Range, native: u32) -> Val {
    let log2e = f.float(a.ty, std::f32::consts::LOG2_E);
    let a = f.mul(a, log2e);
    let (a, b) = match (a.ty, b.ty) {
        (Ty::V(n, _), Ty::S(_)) => (a, f.splat(b, n)),
        (Ty::S(_), Ty::V(n, _)) => (f.splat(a, n), b),
        _ => (a, b),
    };
    let x = f.mul(a, b);
    let scales = native == SCALING && x.ty.lanes() >= SCALING;
    let low = match range {
        _ if scales => -150.0,
        Range::Any => -126.0,
        Range::NotPositive => -127.0,
    };
    let x = limited(f, x, low, 128.0, range);
    let (shifted, n) = if scales {
        let n = f.unary(Unary::RoundEven, x);
        (n, n)
    } else {
        let magic = f.float(x.ty, MAGIC);
        let shifted = f.add(x, magic);
        (shifted, f.sub(shifted, magic))
    };
    let r = f.sub(x, n);
    let p = horner(
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
    );
    if scales {
        scaled(f, p, n)
    } else {
        times_power(f, p, shifted, range)
    }
}

/// `p 2^n` for a whole `n`, also where that is no power of a float.
fn scaled(f: &mut Func, p: Val, n: Val) -> Val {
    let lanes = p.ty.lanes();
    if lanes > SCALING {
        let half = i64::from(lanes / 2);
        let (low, high): (Vec<i64>, Vec<i64>) = ((0..half).collect(), (half..2 * half).collect());
        let part = |f: &mut Func, lanes: &[i64]| {
            let (p, n) = (f.shuffle(p, p, lanes), f.shuffle(n, n, lanes));
            scaled(f, p, n)
        };
        let (low, high) = (part(f, &low), part(f, &high));
        let all: Vec<i64> = (0..2 * half).collect();
        return f.shuffle(low, high, &all);
    }
    let (all, current) = (f.int(Ty::S(Scalar::I16), -1), f.int(Ty::S(Scalar::I32), 4));
    f.intrinsic(Intrinsic::ScaleByPower, &[p, n, p, all, current])
}

/// Holds an exponent where it matters, by comparisons that NaN passes. At the upper limit the result is infinite, at the
/// lower one, where [`times_power`] has no more powers, zero.
fn limited(f: &mut Func, x: Val, low: f32, high: f32, range: Range) -> Val {
    let (low, high) = (f.float(x.ty, low), f.float(x.ty, high));
    let x = if range == Range::Any { f.min(high, x) } else { x };
    f.max(low, x)
}

/// `p 2^n`, `n` in the low bits of `shifted`.
fn times_power(f: &mut Func, p: Val, shifted: Val, range: Range) -> Val {
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
