//! Functions of two values and conversions, on scalars or vectors of one shape.

use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val},
    kernels::math,
};
use seqc_ir::{BinaryOp, Elem, eval::MAX_WHOLE};

/// `op(x, y)`; both of one type. `constant` is `y` where it is known at compile time.
pub(super) fn binary(f: &mut Func, op: BinaryOp, x: Val, y: Val, constant: Option<f64>) -> Val {
    let real = x.ty.scalar().is_float();
    let compare = |f: &mut Func, cmp| f.cmp(cmp, x, y);
    match op {
        BinaryOp::Add => f.add(x, y),
        BinaryOp::Sub => f.sub(x, y),
        BinaryOp::Mul => f.mul(x, y),
        BinaryOp::Div if real => f.div(x, y),
        BinaryOp::Mod if real => real_modulo(f, x, y),
        BinaryOp::Div => integer_division(f, x, y, constant).quotient,
        BinaryOp::Mod => integer_division(f, x, y, constant).rest,
        BinaryOp::Pow if real => math::emit_pow(f, x, y, constant.map(|c| c as f32)),
        BinaryOp::Pow => {
            let (a, b) = (
                f.convert(Cast::SignedToFloat, x, Scalar::F32),
                f.convert(Cast::SignedToFloat, y, Scalar::F32),
            );
            let power = math::emit_pow(f, a, b, constant.map(|c| c as f32));
            cast(f, power, Elem::I64)
        }
        BinaryOp::Max => f.max_number(x, y),
        BinaryOp::Min => f.min_number(x, y),
        BinaryOp::Lt => compare(f, Cmp::Lt),
        BinaryOp::Le => compare(f, Cmp::Le),
        BinaryOp::Gt => compare(f, Cmp::Gt),
        BinaryOp::Ge => compare(f, Cmp::Ge),
        BinaryOp::Eq => compare(f, Cmp::Eq),
        BinaryOp::Ne => compare(f, Cmp::Ne),
        BinaryOp::And => f.and(x, y),
        BinaryOp::Or => f.or(x, y),
    }
}

/// A quotient rounded down, and the remainder with the divisor's sign.
struct Division {
    quotient: Val,
    rest: Val,
}

/// `x / y` for integers; quotient and remainder are 0 for a divisor of 0.
fn integer_division(f: &mut Func, x: Val, y: Val, constant: Option<f64>) -> Division {
    let zero = f.zero(x.ty);
    if constant.is_some_and(|c| c != 0.0) {
        let quotient = f.floor_div(x, y);
        let whole = f.mul(quotient, y);
        let rest = f.sub(x, whole);
        return Division { quotient, rest };
    }
    let one = f.int(x.ty, 1);
    let none = f.cmp(Cmp::Eq, y, zero);
    let divisor = f.select(none, one, y);
    let quotient = f.floor_div(x, divisor);
    let whole = f.mul(quotient, divisor);
    let rest = f.sub(x, whole);
    Division {
        quotient: f.select(none, zero, quotient),
        rest: f.select(none, zero, rest),
    }
}

/// Remainder with the divisor's sign. Exact while the quotient is below 2^24.
fn real_modulo(f: &mut Func, x: Val, y: Val) -> Val {
    let quotient = f.div(x, y);
    let quotient = f.unary(Unary::Floor, quotient);
    let minus = f.neg(quotient);
    let rest = f.exact_fma(minus, y, x);
    // A quotient that was rounded over an integer leaves a rest just outside of the range.
    let zero = f.zero(x.ty);
    let (positive, negative) = (f.cmp(Cmp::Gt, y, zero), f.cmp(Cmp::Lt, rest, zero));
    let wrong = f.xor(positive, negative);
    let wrong = f.not(wrong);
    let some = f.cmp(Cmp::Ne, rest, zero);
    let wrong = f.and(wrong, some);
    let up = f.add(rest, y);
    f.select(wrong, up, rest)
}

/// Conversion to another element type.
pub(super) fn cast(f: &mut Func, x: Val, to: Elem) -> Val {
    match (x.ty.scalar(), to) {
        (Scalar::F32, Elem::I64) => {
            let number = f.cmp(Cmp::Eq, x, x);
            let (zero, most) = (f.zero(x.ty), f.float(x.ty, MAX_WHOLE as f32));
            let least = f.neg(most);
            let x = f.select(number, x, zero);
            let down = f.unary(Unary::Floor, x);
            let down = f.max(down, least);
            let down = f.min(down, most);
            f.convert(Cast::FloatToSigned, down, Scalar::I64)
        }
        (Scalar::I64, Elem::F32) => f.convert(Cast::SignedToFloat, x, Scalar::F32),
        (Scalar::I1, Elem::F32) => {
            let ty = x.ty.with(Scalar::F32);
            let (one, zero) = (f.float(ty, 1.0), f.float(ty, 0.0));
            f.select(x, one, zero)
        }
        (Scalar::I1, Elem::I64) => f.convert(Cast::ZeroExtend, x, Scalar::I64),
        (Scalar::F32 | Scalar::I64, Elem::Bool) => truth(f, x),
        _ => x,
    }
}

/// True where a number is not zero.
pub(super) fn truth(f: &mut Func, x: Val) -> Val {
    let zero = f.zero(x.ty);
    f.cmp(Cmp::Ne, x, zero)
}

/// The form in which a value is stored: truth values are reals.
pub(super) fn to_memory(f: &mut Func, x: Val) -> Val {
    if x.ty.scalar() == Scalar::I1 {
        cast(f, x, Elem::F32)
    } else {
        x
    }
}

/// The type of values of an element type in registers.
pub(super) fn register(elem: Elem, lanes: Option<u32>) -> Ty {
    let scalar = match elem {
        Elem::F32 => Scalar::F32,
        Elem::I64 => Scalar::I64,
        Elem::Bool => Scalar::I1,
    };
    lanes.map_or(Ty::S(scalar), |n| Ty::V(n, scalar))
}
