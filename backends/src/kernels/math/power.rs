//! Powers.

use super::{emit_unary, exp::exp_sum, log::log_pair, range::Range};
use crate::kernel::{Cmp, Func, Unary, Val};
use seqc_ir::UnaryOp;

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

fn general_power(f: &mut Func, x: Val, y: Val) -> Val {
    let ty = x.ty;
    let (zero, one, infinity) = (f.zero(ty), f.float(ty, 1.0), f.float(ty, f32::INFINITY));
    let a = f.unary(Unary::Abs, x);
    let (high, low) = log_pair(f, a);
    let product = f.mul(y, high);
    let minus = f.neg(product);
    let error = f.exact_fma(y, high, minus);
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

/// `value = |x| ** y` with the sign that a negative `x` gives it; NaN where `y` is not an integer.
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
