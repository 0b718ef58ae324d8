//! Logarithms, as one float and as an unevaluated sum of two.

use super::{exp::LN2, polynomial::horner};
use crate::kernel::{Cast, Cmp, Func, Scalar, Val};

/// Bits of `sqrt(1/2)`: logarithms reduce to `[sqrt(1/2), sqrt(2))`.
const SQRT_HALF_BITS: i64 = 0x3f35_04f3;

/// `(atanh(s) - s) / (s^3 / 2)` in `s^2`, for `s <= 1/3`.
pub(super) const ATANH: [f32; 6] = [
    0.207_876_17,
    0.174_647_02,
    0.222_647_11,
    0.285_703_06,
    0.400_000_1,
    0.666_666_7,
];

/// `x = 2^e * m` with `m` in `[sqrt(1/2), sqrt(2))`: `(e as float, m)`.
fn split_exponent(f: &mut Func, x: Val) -> (Val, Val) {
    let (ty, int) = (x.ty, x.ty.with(Scalar::I32));
    // Subnormal numbers have no exponent of their own.
    let (smallest, lift) = (f.float(ty, f32::MIN_POSITIVE), f.float(ty, 8_388_608.0));
    let subnormal = f.cmp(Cmp::Lt, x, smallest);
    let lifted = f.mul(x, lift);
    let x = f.select(subnormal, lifted, x);
    let bits = f.bitcast(x, int);
    let (base, places) = (f.int(int, SQRT_HALF_BITS), f.int(int, 23));
    let above = f.sub(bits, base);
    let e = f.shr_signed(above, places);
    let whole = f.shl(e, places);
    let m = f.sub(bits, whole);
    let m = f.bitcast(m, ty);
    let e = f.convert(Cast::SignedToFloat, e, Scalar::F32);
    let (zero, twenty_three) = (f.zero(ty), f.float(ty, 23.0));
    let fix = f.select(subnormal, twenty_three, zero);
    (f.sub(e, fix), m)
}

/// Natural logarithm.
pub fn log(f: &mut Func, x: Val) -> Val {
    let ty = x.ty;
    let (e, m) = split_exponent(f, x);
    let one = f.float(ty, 1.0);
    let t = f.sub(m, one);
    let p = horner(
        f,
        t,
        &[
            0.069_716_11,
            -0.114_797_34,
            0.116_854_2,
            -0.124_256_87,
            0.142_490_58,
            -0.166_678_02,
            0.200_007_16,
            -0.249_999_97,
            0.333_333_3,
        ],
    );
    let t2 = f.mul(t, t);
    let t3 = f.mul(t2, t);
    let (hi, lo, half) = (f.float(ty, LN2.0), f.float(ty, LN2.1), f.float(ty, -0.5));
    let sum = f.mul(e, lo);
    let sum = f.fma(t3, p, sum);
    let sum = f.fma(t2, half, sum);
    let sum = f.add(t, sum);
    let sum = f.fma(e, hi, sum);
    log_limits(f, x, sum)
}

/// `log x` where `x` is positive and finite, else infinity, minus infinity or NaN.
fn log_limits(f: &mut Func, x: Val, value: Val) -> Val {
    let ty = x.ty;
    let (zero, infinity) = (f.zero(ty), f.float(ty, f32::INFINITY));
    let (low, nan) = (f.float(ty, f32::NEG_INFINITY), f.float(ty, f32::NAN));
    let finite = f.cmp(Cmp::Lt, x, infinity);
    let value = f.select(finite, value, x);
    let is_zero = f.cmp(Cmp::Eq, x, zero);
    let other = f.select(is_zero, low, nan);
    let positive = f.cmp(Cmp::Gt, x, zero);
    f.select(positive, value, other)
}

/// `log |x|` as an unevaluated sum of two floats, good to some 2^-30: what a power needs, whose relative
/// error is the absolute error of `y log x`.
pub(super) fn log_pair(f: &mut Func, x: Val) -> (Val, Val) {
    let ty = x.ty;
    let (e, m) = split_exponent(f, x);
    let one = f.float(ty, 1.0);
    let (t, d) = (f.sub(m, one), f.add(m, one));
    let back = f.sub(d, one);
    let d_low = f.sub(m, back);
    let s = f.div(t, d);
    let minus = f.neg(s);
    let rest = f.exact_fma(minus, d, t);
    let rest = f.fma(minus, d_low, rest);
    let s_low = f.div(rest, d);
    let s2 = f.mul(s, s);
    let p = horner(f, s2, &[0.233_304_67, 0.285_508_2, 0.400_001_2, 0.666_666_7]);
    let s3 = f.mul(s2, s);
    let mut low = f.add(s_low, s_low);
    low = f.fma(p, s3, low);
    let (ln_hi, ln_lo) = (f.float(ty, LN2.0), f.float(ty, LN2.1));
    low = f.fma(e, ln_lo, low);
    let (a, b) = (f.mul(e, ln_hi), f.add(s, s));
    let high = f.add(a, b);
    let used = f.sub(high, a);
    let lost = f.sub(b, used);
    (high, f.add(lost, low))
}
