//! Functions of one and two numbers.

use crate::{BinaryOp, UnaryOp};

/// `op(x)`; truth values are 0 and 1.
pub fn apply_unary(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        // log(1 + e^x) without overflow.
        UnaryOp::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        UnaryOp::Erf => libm::erf(x),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Not => truth(x == 0.0),
    }
}

/// `op(x, y)` on reals, and on integers (`integer`) where division differs. An integer divided by zero is 0.
pub fn apply_binary(op: BinaryOp, integer: bool, x: f64, y: f64) -> f64 {
    match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div | BinaryOp::Mod if integer && y == 0.0 => 0.0,
        BinaryOp::Div if integer => (x / y).floor(),
        BinaryOp::Div => x / y,
        BinaryOp::Mod => modulo(x, y),
        BinaryOp::Pow if integer => whole(x.powf(y)),
        BinaryOp::Pow => x.powf(y),
        BinaryOp::Max => x.max(y),
        BinaryOp::Min => x.min(y),
        BinaryOp::Lt => truth(x < y),
        BinaryOp::Le => truth(x <= y),
        BinaryOp::Gt => truth(x > y),
        BinaryOp::Ge => truth(x >= y),
        BinaryOp::Eq => truth(x == y),
        BinaryOp::Ne => truth(x != y),
        BinaryOp::And => truth(x != 0.0 && y != 0.0),
        BinaryOp::Or => truth(x != 0.0 || y != 0.0),
    }
}

/// The largest real number of single precision that is an integer of 64 bits, 2^63 - 2^39.
pub const MAX_WHOLE: f64 = 9_223_371_487_098_961_920.0;

/// A real number rounded down to an integer: held between -[`MAX_WHOLE`] and [`MAX_WHOLE`]; what is no number is 0.
pub fn whole(x: f64) -> f64 {
    if x.is_nan() {
        return 0.0;
    }
    x.floor().clamp(-MAX_WHOLE, MAX_WHOLE)
}

/// Remainder with the divisor's sign, exact like `fmod`.
fn modulo(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}
