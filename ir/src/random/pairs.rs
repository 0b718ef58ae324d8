//! Expressions over an entry of a cache and a token.

use crate::{BinaryOp, PairExpr as Expr};

/// Parts of a sum.
pub(super) const PARTS: [f64; 3] = [0.306_142, 0.618_034, 0.918_273];

pub(super) fn number(x: f64) -> Expr {
    Expr::Const(x)
}

pub(super) fn binary(op: BinaryOp, x: Expr, y: Expr) -> Expr {
    Expr::binary(op, x, y)
}

fn age() -> Expr {
    binary(BinaryOp::Sub, Expr::QueryPos, Expr::KeyPos)
}

pub(super) fn younger(than: usize) -> Expr {
    binary(BinaryOp::Lt, age(), number(than as f64))
}

pub(super) fn all() -> Expr {
    number(1.0)
}
