//! Elementary functions as inline polynomial code, on scalars and vectors of f32 alike.
//!
//! Accurate to a few units in the last place, with the limits of IEEE arithmetic: `exp(-inf) = 0`,
//! `log(0) = -inf`, NaN in gives NaN out. `exp` below 2^-126 is 0. Sine and cosine hold to about
//! `|x| = 1e5`. The polynomials are Chebyshev fits over the reduced ranges.

use crate::kernel::{Cast, Cmp, Func, Intrinsic, Scalar, Ty, Unary, Val};
use seqc_ir::UnaryOp;

/// Adding it to a small float leaves the nearest integer in the low bits of the sum: 1.5 * 2^23.
const MAGIC: f32 = 12_582_912.0;
/// `ln 2` in two parts; a small integer times the first is exact.
const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// Bits of `sqrt(1/2)`: logarithms reduce to `[sqrt(1/2), sqrt(2))`.
const SQRT_HALF_BITS: i64 = 0x3f35_04f3;
/// `(atanh(s) - s) / (s^3 / 2)` in `s^2`, for `s <= 1/3`.
const ATANH: [f32; 6] = [
    0.207_876_17,
    0.174_647_02,
    0.222_647_11,
    0.285_703_06,
    0.400_000_1,
    0.666_666_7,
];

/// `op(x)`; `x` is f32, except for negation and absolute value (also integers) and `not` (truth values).
pub fn emit_unary(f: &mut Func, op: UnaryOp, x: Val) -> Val {
    match op {
        UnaryOp::Neg if x.ty.scalar().is_float() => f.neg(x),
        UnaryOp::Neg => {
            let zero = f.zero(x.ty);
            f.sub(zero, x)
        }
        UnaryOp::Abs if x.ty.scalar().is_float() => f.unary(Unary::Abs, x),
        UnaryOp::Abs => {
            let zero = f.zero(x.ty);
            let negative = f.sub(zero, x);
            f.max(x, negative)
        }
        UnaryOp::Exp => exp(f, x),
        UnaryOp::Log => log(f, x),
        UnaryOp::Sqrt => f.unary(Unary::Sqrt, x),
        UnaryOp::Rsqrt => {
            let (one, root) = (f.float(x.ty, 1.0), f.unary(Unary::Sqrt, x));
            f.div(one, root)
        }
        UnaryOp::Sin => sin_cos(f, x, false),
        UnaryOp::Cos => sin_cos(f, x, true),
        UnaryOp::Tanh => tanh(f, x),
        UnaryOp::Sigmoid => sigmoid(f, x),
        UnaryOp::Softplus => softplus(f, x),
        UnaryOp::Erf => erf(f, x),
        UnaryOp::Floor => f.unary(Unary::Floor, x),
        UnaryOp::Round => f.unary(Unary::RoundEven, x),
        UnaryOp::Not => {
            let all = f.int(x.ty, 1);
            f.xor(x, all)
        }
    }
}

/// `x ** y`. `constant` is `y` where it is known when compiling: small integers and halves then cost
/// a few multiplications. A negative `x` needs an integer `y`, else the result is NaN.
pub fn emit_pow(f: &mut Func, x: Val, y: Val, constant: Option<f32>) -> Val {
    match constant {
        Some(n) if n.fract() == 0.0 && n.abs() <= 16.0 => {
            let power = integer_power(f, x, n.abs() as u32);
            if n >= 0.0 {
                return power;
            }
            let one = f.float(x.ty, 1.0);
            f.div(one, power)
        }
        Some(0.5) => f.unary(Unary::Sqrt, x),
        Some(-0.5) => emit_unary(f, UnaryOp::Rsqrt, x),
        _ => general_power(f, x, y),
    }
}

fn integer_power(f: &mut Func, x: Val, n: u32) -> Val {
    let mut result = None;
    let (mut square, mut rest) = (x, n);
    while rest > 0 {
        if rest & 1 == 1 {
            result = Some(result.map_or(square, |r| f.mul(r, square)));
        }
        rest >>= 1;
        if rest > 0 {
            square = f.mul(square, square);
        }
    }
    result.unwrap_or_else(|| f.float(x.ty, 1.0))
}

/// `c[0] x^n + … + c[n]`.
fn horner(f: &mut Func, x: Val, coefficients: &[f32]) -> Val {
    let mut sum = f.float(x.ty, coefficients[0]);
    for c in &coefficients[1..] {
        let c = f.float(x.ty, *c);
        sum = f.fma(sum, x, c);
    }
    sum
}

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
fn exp_sum(f: &mut Func, x: Val, low: Option<Val>, range: Range) -> Val {
    let ty = x.ty;
    let (least, most) = if range == Range::Any {
        (-87.3, 88.8)
    } else {
        (-88.1, 0.0)
    };
    let x = limited(f, x, least, most, range);
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
    let least = if range == Range::Any && !scales { -126.0 } else { -127.0 };
    let least = if scales { -150.0 } else { least };
    let x = limited(f, x, least, 128.0, range);
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

/// Lanes of the registers that have [`scaled`] as an instruction.
const SCALING: u32 = 16;

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

/// `1 / (1 + e^-x)`
pub fn sigmoid(f: &mut Func, x: Val) -> Val {
    let one = f.float(x.ty, 1.0);
    let n = f.neg(x);
    let e = exp(f, n);
    let d = f.add(one, e);
    f.div(one, d)
}

/// `x / (1 + e^-x)`, one division cheaper than the product with [`sigmoid`] would suggest.
pub fn silu(f: &mut Func, x: Val) -> Val {
    let one = f.float(x.ty, 1.0);
    let n = f.neg(x);
    let e = exp(f, n);
    let d = f.add(one, e);
    f.div(x, d)
}

/// `log(1 + e^x) = max(x, 0) + 2 atanh(e / (2 + e))` with `e = exp(-|x|)`.
fn softplus(f: &mut Func, x: Val) -> Val {
    let ty = x.ty;
    let a = f.unary(Unary::Abs, x);
    let n = f.neg(a);
    let e = exp_within(f, n, Range::NotPositive);
    let (zero, two) = (f.zero(ty), f.float(ty, 2.0));
    let d = f.add(e, two);
    let s = f.div(e, d);
    let s2 = f.mul(s, s);
    let p = horner(f, s2, &ATANH);
    let p = f.fma(p, s2, two);
    let high = f.max(zero, x);
    f.fma(p, s, high)
}

/// Near zero a polynomial, elsewhere `1 - 2 / (e^2|x| + 1)` with the sign of `x`.
fn tanh(f: &mut Func, x: Val) -> Val {
    let ty = x.ty;
    let x2 = f.mul(x, x);
    let p = horner(
        f,
        x2,
        &[
            2.269_501_7e-3,
            -8.323_187e-3,
            2.176_250_3e-2,
            -5.395_846e-2,
            0.133_333,
            -0.333_333_33,
        ],
    );
    let x3 = f.mul(x2, x);
    let near = f.fma(p, x3, x);
    let (one, two) = (f.float(ty, 1.0), f.float(ty, 2.0));
    let a = f.unary(Unary::Abs, x);
    let a2 = f.add(a, a);
    let e = exp(f, a2);
    let d = f.add(e, one);
    let q = f.div(two, d);
    let far = f.sub(one, q);
    let far = f.copy_sign(far, x);
    let limit = f.float(ty, 0.625);
    let is_near = f.cmp(Cmp::Lt, a, limit);
    f.select(is_near, near, far)
}

/// To 1 a polynomial; beyond, `1 - e^-Q(|x|)` with `Q` a fit of `-log erfc`.
fn erf(f: &mut Func, x: Val) -> Val {
    let ty = x.ty;
    let x2 = f.mul(x, x);
    let p = horner(
        f,
        x2,
        &[
            7.875_875e-5,
            -8.016_864e-4,
            5.189_087_4e-3,
            -2.685_421_2e-2,
            0.112_835_95,
            -0.376_126_27,
            std::f32::consts::FRAC_2_SQRT_PI,
        ],
    );
    let near = f.mul(p, x);
    let (one, limit) = (f.float(ty, 1.0), f.float(ty, 4.1));
    let a = f.unary(Unary::Abs, x);
    let capped = f.min(limit, a);
    let q = horner(
        f,
        capped,
        &[
            -1.601_537_3e-6,
            4.538_157_5e-5,
            -5.913_401e-4,
            4.735_105e-3,
            -2.635_466_7e-2,
            0.109_968_33,
            0.631_939_65,
            1.130_169_6,
            -3.049_479_3e-4,
        ],
    );
    let n = f.neg(q);
    let e = exp(f, n);
    let far = f.sub(one, e);
    let far = f.copy_sign(far, x);
    let is_near = f.cmp(Cmp::Lt, a, one);
    f.select(is_near, near, far)
}

/// Reduction by multiples of pi/2 in three parts (Cody and Waite), then the polynomial of the quadrant.
fn sin_cos(f: &mut Func, x: Val, cosine: bool) -> Val {
    let (ty, int) = (x.ty, x.ty.with(Scalar::I32));
    let (magic, two_over_pi) = (f.float(ty, MAGIC), f.float(ty, std::f32::consts::FRAC_2_PI));
    let shifted = f.fma(x, two_over_pi, magic);
    let n = f.sub(shifted, magic);
    let mut r = x;
    for part in [-std::f32::consts::FRAC_PI_2, 4.371_139e-8, 1.715_124_5e-15] {
        let part = f.float(ty, part);
        r = f.fma(n, part, r);
    }
    let r2 = f.mul(r, r);
    let r3 = f.mul(r2, r);
    let s = horner(f, r2, &[2.724_378e-6, -1.984_004e-4, 8.333_332e-3, -0.166_666_67]);
    let s = f.fma(s, r3, r);
    let c = horner(f, r2, &[2.454_287_1e-5, -1.388_828e-3, 4.166_666_5e-2]);
    let (half, one) = (f.float(ty, -0.5), f.float(ty, 1.0));
    let c = f.fma(c, r2, half);
    let c = f.fma(c, r2, one);
    let mut quadrant = f.bitcast(shifted, int);
    let (i1, i2, thirty) = (f.int(int, 1), f.int(int, 2), f.int(int, 30));
    if cosine {
        quadrant = f.add(quadrant, i1);
    }
    let (odd, zero) = (f.and(quadrant, i1), f.zero(int));
    let is_odd = f.cmp(Cmp::Ne, odd, zero);
    let value = f.select(is_odd, c, s);
    let sign = f.and(quadrant, i2);
    let sign = f.shl(sign, thirty);
    let bits = f.bitcast(value, int);
    let bits = f.xor(bits, sign);
    f.bitcast(bits, ty)
}

/// `log |x|` as an unevaluated sum of two floats, good to some 2^-30: what a power needs, whose relative
/// error is the absolute error of `y log x`.
fn log_pair(f: &mut Func, x: Val) -> (Val, Val) {
    let ty = x.ty;
    let (e, m) = split_exponent(f, x);
    let one = f.float(ty, 1.0);
    let (t, d) = (f.sub(m, one), f.add(m, one));
    let back = f.sub(d, one);
    let d_low = f.sub(m, back);
    let s = f.div(t, d);
    let minus = f.neg(s);
    let rest = f.fma(minus, d, t);
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

fn general_power(f: &mut Func, x: Val, y: Val) -> Val {
    let ty = x.ty;
    let (zero, one, infinity) = (f.zero(ty), f.float(ty, 1.0), f.float(ty, f32::INFINITY));
    let a = f.unary(Unary::Abs, x);
    let (high, low) = log_pair(f, a);
    let product = f.mul(y, high);
    let minus = f.neg(product);
    let error = f.fma(y, high, minus);
    let error = f.fma(y, low, error);
    // Beyond exp's range the error term means nothing, and may be infinite.
    let (bound, size) = (f.float(ty, 100.0), f.unary(Unary::Abs, product));
    let in_range = f.cmp(Cmp::Lt, size, bound);
    let error = f.select(in_range, error, zero);
    let value = exp_sum(f, product, Some(error), Range::Any);
    // |x| of 0 or infinity: the logarithm above is not infinite enough.
    let rising = f.cmp(Cmp::Gt, y, zero);
    let (at_zero, at_infinity) = (f.select(rising, zero, infinity), f.select(rising, infinity, zero));
    let is_zero = f.cmp(Cmp::Eq, a, zero);
    let value = f.select(is_zero, at_zero, value);
    let finite = f.cmp(Cmp::Lt, a, infinity);
    let value = f.select(finite, value, at_infinity);
    let value = negative_base(f, x, y, value);
    // NaN in, NaN out; but anything ** 0 is 1.
    let ordered = f.cmp(Cmp::Eq, x, x);
    let value = f.select(ordered, value, x);
    let exponent_zero = f.cmp(Cmp::Eq, y, zero);
    f.select(exponent_zero, one, value)
}

/// `value = |x| ** y` with the sign that a negative `x` gives it; NaN where `y` is no integer.
fn negative_base(f: &mut Func, x: Val, y: Val, value: Val) -> Val {
    let ty = x.ty;
    let (zero, half, nan) = (f.zero(ty), f.float(ty, 0.5), f.float(ty, f32::NAN));
    let floor = f.unary(Unary::Floor, y);
    let whole = f.cmp(Cmp::Eq, floor, y);
    let h = f.mul(y, half);
    let h_floor = f.unary(Unary::Floor, h);
    let odd = f.cmp(Cmp::Ne, h, h_floor);
    let negated = f.neg(value);
    let signed = f.select(odd, negated, value);
    let signed = f.select(whole, signed, nan);
    let negative = f.cmp(Cmp::Lt, x, zero);
    f.select(negative, signed, value)
}
