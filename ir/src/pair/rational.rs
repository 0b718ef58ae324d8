//! Exact arithmetic with positions: which functions of whole numbers stay fractions with a known denominator.
//!
//! One set of rules for whoever represents such numbers: bounds in terms of the two positions (`passes`), and the code that
//! compares them for a tile of pairs or for one pair in every lane (`backends`).

use crate::{BinaryOp, UnaryOp};

/// An operand of exact arithmetic.
#[derive(Clone, Copy, Debug)]
pub enum Operand<N> {
    /// A constant.
    Const(f64),
    /// A fraction that is represented.
    Number(N),
    /// Anything else.
    Other,
}

/// A representation of fractions. Every operation may refuse what it cannot represent.
pub trait Rational {
    /// A fraction.
    type Number: Copy;

    /// A constant.
    fn constant(&mut self, c: f64) -> Option<Self::Number>;

    /// A constant factor as a fraction, its denominator positive.
    fn fraction(&self, c: f64) -> Option<(i64, i64)>;

    /// `x * up / down`, `down` positive.
    fn times(&mut self, x: Self::Number, up: i64, down: i64) -> Option<Self::Number>;

    /// `x * y`
    fn product(&mut self, _x: Self::Number, _y: Self::Number) -> Option<Self::Number> {
        None
    }

    /// `x + y`
    fn plus(&mut self, x: Self::Number, y: Self::Number) -> Option<Self::Number>;

    /// `x - y`
    fn minus(&mut self, x: Self::Number, y: Self::Number) -> Option<Self::Number>;

    /// The largest integer not above `x`.
    fn floor(&mut self, x: Self::Number) -> Option<Self::Number>;

    /// The remainder of `x` by the constant `m`, with the sign of `m`.
    fn remainder(&mut self, x: Operand<Self::Number>, m: f64) -> Option<Self::Number>;

    /// `op(x)`, where that is a fraction again.
    fn exact_unary(&mut self, op: UnaryOp, x: Self::Number) -> Option<Self::Number> {
        match op {
            UnaryOp::Neg => self.times(x, -1, 1),
            UnaryOp::Floor => self.floor(x),
            _ => None,
        }
    }

    /// `op(x, y)`, where that is a fraction again.
    fn exact_binary(
        &mut self,
        op: BinaryOp,
        x: Operand<Self::Number>,
        y: Operand<Self::Number>,
    ) -> Option<Self::Number> {
        match (op, x, y) {
            (BinaryOp::Add, x, y) => {
                let (x, y) = (self.number(x)?, self.number(y)?);
                self.plus(x, y)
            }
            (BinaryOp::Sub, x, y) => {
                let (x, y) = (self.number(x)?, self.number(y)?);
                self.minus(x, y)
            }
            (BinaryOp::Mul, Operand::Number(x), Operand::Const(c))
            | (BinaryOp::Mul, Operand::Const(c), Operand::Number(x)) => {
                let (up, down) = self.fraction(c)?;
                self.times(x, up, down)
            }
            (BinaryOp::Mul, Operand::Number(x), Operand::Number(y)) => self.product(x, y),
            (BinaryOp::Div, Operand::Number(x), Operand::Const(c)) => {
                let (up, down) = self.fraction(c).filter(|(up, _)| *up != 0)?;
                self.times(x, down * up.signum(), up.abs())
            }
            (BinaryOp::Mod, x, Operand::Const(c)) => self.remainder(x, c),
            _ => None,
        }
    }

    /// An operand as a fraction.
    fn number(&mut self, x: Operand<Self::Number>) -> Option<Self::Number> {
        match x {
            Operand::Const(c) => self.constant(c),
            Operand::Number(x) => Some(x),
            Operand::Other => None,
        }
    }
}
