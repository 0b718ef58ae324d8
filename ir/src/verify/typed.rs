//! Types of expressions over pairs: numbers and truth values, which do not mix.

use crate::{BinaryOp, UnaryOp};

/// Whether an expression is a truth value; an error when it is neither that nor a number.
pub(super) type Typed = Result<bool, String>;

pub(super) fn mixed(name: &str) -> Typed {
    Err(format!("`{name}` mixes numbers and truth values"))
}

pub(super) fn unary(op: UnaryOp, x: Typed) -> Typed {
    match (op, x?) {
        (UnaryOp::Not, true) => Ok(true),
        (UnaryOp::Not, false) | (_, true) => mixed(op.name()),
        (_, false) => Ok(false),
    }
}

pub(super) fn binary(op: BinaryOp, x: Typed, y: Typed) -> Typed {
    let logic = matches!(op, BinaryOp::And | BinaryOp::Or);
    if (x?, y?) == (logic, logic) {
        Ok(op.is_predicate())
    } else {
        mixed(op.name())
    }
}

pub(super) fn select(c: Typed, a: Typed, b: Typed) -> Typed {
    match (c?, a?, b?) {
        (true, a, b) if a == b => Ok(a),
        _ => mixed("select"),
    }
}
