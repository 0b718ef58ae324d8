//! Functions of single elements, each guarded so that results stay small and smooth.

use super::{Generator, ROWS};
use crate::{BinaryOp, Elem, Ty, UnaryOp, Value};

impl Generator {
    /// One of the functions of one real argument.
    pub(super) fn unary(&mut self) -> Value {
        use UnaryOp::*;
        let x = self.pick();
        let op = *self
            .rng
            .choose(&[Neg, Abs, Exp, Log, Sqrt, Rsqrt, Sin, Cos, Tanh, Sigmoid, Softplus, Erf]);
        let argument = match op {
            Log | Sqrt | Rsqrt => {
                let size = self.graph.unary(Abs, x);
                self.plus(size, 0.5)
            }
            _ => x,
        };
        let y = self.graph.unary(op, argument);
        match op {
            Exp => self.times(y, 0.1),
            Softplus => self.times(y, 0.5),
            _ => y,
        }
    }

    /// One of the functions of two real arguments.
    pub(super) fn binary(&mut self) -> Value {
        use BinaryOp::*;
        let x = self.pick();
        let y = self.like(x);
        match *self.rng.choose(&[Add, Sub, Mul, Div, Pow, Max, Min]) {
            op @ (Add | Sub) => {
                let z = self.graph.binary(op, x, y);
                self.times(z, 0.5)
            }
            Div => {
                let size = self.graph.unary(UnaryOp::Abs, y);
                let size = self.plus(size, 1.0);
                self.graph.binary(Div, x, size)
            }
            Pow => {
                let size = self.graph.unary(UnaryOp::Abs, x);
                let base = self.plus(size, 0.5);
                let exponent = self.tanh(y);
                let z = self.graph.binary(Pow, base, exponent);
                self.times(z, 0.5)
            }
            op @ (Max | Min) => self.graph.binary(op, x, y),
            _ => {
                let z = self.graph.product_of(x, y);
                self.tanh(z)
            }
        }
    }

    /// A selection: by a comparison of what is selected (continuous), or by integers.
    pub(super) fn choice(&mut self) -> Value {
        use BinaryOp::*;
        let x = self.pick();
        let y = self.like(x);
        if self.rng.once_in(2) {
            let op = *self.rng.choose(&[Lt, Le, Gt, Ge]);
            let condition = self.graph.binary(op, x, y);
            return self.graph.select(condition, x, y);
        }
        let mut condition = self.condition_like(x);
        match self.rng.below(3) {
            0 => condition = self.graph.unary(UnaryOp::Not, condition),
            n => {
                let other = self.condition_like(x);
                condition = self.graph.binary(if n == 1 { And } else { Or }, condition, other);
            }
        }
        self.graph.select(condition, x, y)
    }

    /// Functions with jumps, of numbers that single precision holds exactly.
    pub(super) fn exact(&mut self) -> Value {
        let scalar = Ty::scalar(Elem::I64);
        let n = 2 + self.rng.below(6);
        let divisor = self.graph.constant(n as f64, scalar);
        let whole = match self.rng.below(5) {
            0 => self.graph.binary(BinaryOp::Div, self.token, divisor),
            1 => self.graph.binary(BinaryOp::Mod, self.token, divisor),
            2 => {
                let low = self.graph.binary(BinaryOp::Sub, self.token, divisor);
                let size = self.graph.unary(UnaryOp::Abs, low);
                self.graph.binary(BinaryOp::Min, size, divisor)
            }
            n => {
                let real = self.graph.cast(Elem::F32, self.token);
                let quarter = self.times(real, 0.25);
                let op = if n == 3 { UnaryOp::Floor } else { UnaryOp::Round };
                let floor = self.graph.unary(op, quarter);
                let three = self.filled(3.0, floor);
                let rest = self.graph.binary(BinaryOp::Mod, floor, three);
                self.graph.cast(Elem::I64, rest)
            }
        };
        let real = self.graph.cast(Elem::F32, whole);
        let small = self.times(real, 2.0 / ROWS as f64);
        let like = self.pick();
        let dims = self.graph.ty(like).dims.clone();
        let spread = self.graph.broadcast(small, dims, &[]);
        self.mean(like, spread)
    }
}
