//! Elementary functions as inline polynomial code, on scalars and vectors of f32 alike.
//!
//! Accurate to a few units in the last place, with the limits of IEEE arithmetic: `exp(-inf) = 0`,
//! `log(0) = -inf`, NaN for NaN. `exp` below 2^-126 is 0. Sine and cosine hold to about
//! `|x| = 1e5`. The polynomials are Chebyshev fits over the reduced ranges.

mod exp;
mod exp_product;
mod log;
mod polynomial;
mod power;
pub(crate) mod power_of_two;
mod range;

pub use exp::{exp, exp_within};
pub use exp_product::exp_product;
use log::ATANH;
pub use log::log;
use polynomial::{MAGIC, horner};
pub use power::emit_pow;
pub use range::Range;

use crate::kernel::{Cmp, Func, Scalar, Unary, Val};
use seqc_ir::UnaryOp;

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

fn sin_cos(f: &mut Func, x: Val, cosine: bool) -> Val {
    let reduced = Quadrant::of(f, x, None);
    reduced.value(f, cosine)
}

/// Sine and cosine of `a * b` up to 4e6. The rounding error of the product counts as well: where that is large, it is no small part of a
/// turn.
pub fn sin_cos_of_product(f: &mut Func, a: Val, b: Val) -> (Val, Val) {
    let product = f.mul(a, b);
    let negative = f.neg(product);
    let rest = f.exact_fma(a, b, negative);
    let reduced = Quadrant::of(f, product, Some(rest));
    (reduced.value(f, false), reduced.value(f, true))
}

/// An angle as a number of quarter turns, and the sine and cosine of the rest.
struct Quadrant {
    quarters: Val,
    sine: Val,
    cosine: Val,
}

impl Quadrant {
    /// Reduction of `x`, or `x + rest`, by multiples of pi/2 in three parts (Cody and Waite), then a polynomial each.
    fn of(f: &mut Func, x: Val, rest: Option<Val>) -> Quadrant {
        let (ty, int) = (x.ty, x.ty.with(Scalar::I32));
        let (magic, two_over_pi) = (f.float(ty, MAGIC), f.float(ty, std::f32::consts::FRAC_2_PI));
        let shifted = f.fma(x, two_over_pi, magic);
        let n = f.sub(shifted, magic);
        let mut r = x;
        for part in [-std::f32::consts::FRAC_PI_2, 4.371_139e-8, 1.715_124_5e-15] {
            let part = f.float(ty, part);
            r = f.exact_fma(n, part, r);
        }
        if let Some(rest) = rest {
            r = f.add(r, rest);
        }
        let r2 = f.mul(r, r);
        let r3 = f.mul(r2, r);
        let s = horner(f, r2, &[2.724_378e-6, -1.984_004e-4, 8.333_332e-3, -0.166_666_67]);
        let s = f.fma(s, r3, r);
        let c = horner(f, r2, &[2.454_287_1e-5, -1.388_828e-3, 4.166_666_5e-2]);
        let (half, one) = (f.float(ty, -0.5), f.float(ty, 1.0));
        let c = f.fma(c, r2, half);
        let c = f.fma(c, r2, one);
        Quadrant {
            quarters: f.bitcast(shifted, int),
            sine: s,
            cosine: c,
        }
    }

    /// The sine of the angle, or its cosine, which is the sine of a quarter turn more.
    fn value(&self, f: &mut Func, cosine: bool) -> Val {
        let (mut quarters, int) = (self.quarters, self.quarters.ty);
        let (i1, i2, thirty) = (f.int(int, 1), f.int(int, 2), f.int(int, 30));
        if cosine {
            quarters = f.add(quarters, i1);
        }
        let (odd, zero) = (f.and(quarters, i1), f.zero(int));
        let is_odd = f.cmp(Cmp::Ne, odd, zero);
        let value = f.select(is_odd, self.cosine, self.sine);
        let sign = f.and(quarters, i2);
        let sign = f.shl(sign, thirty);
        let bits = f.bitcast(value, int);
        let bits = f.xor(bits, sign);
        f.bitcast(bits, self.sine.ty)
    }
}
