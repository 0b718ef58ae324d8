//! The value of an expression during elaboration.

use crate::known::Known;
use seqc_grammar::ast::Span;
use seqc_ir::{Elem, PairExpr, Value, policy::Turn};

/// An index variable, numbered in the order of introduction: a variable that is bound further in has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Var(pub(super) u32);

/// A node of the graph. Its first axes run over index variables, in ascending order, the others are its own shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// The node.
    pub(super) v: Value,
    /// Variables of the leading axes.
    pub(super) vars: Vec<Var>,
    /// A scalar that stands for something whose shape is not found yet.
    pub(super) unknown: bool,
}

/// A complex tensor: both parts have the same variables and shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Complex {
    /// Real part.
    pub(super) re: Tensor,
    /// Imaginary part.
    pub(super) im: Tensor,
}

/// A tensor as it was before rotary positions.
#[derive(Clone, Debug)]
pub(super) struct Turned {
    pub(super) raw: Tensor,
    /// The angle per position of each pair.
    pub(super) angles: Tensor,
    pub(super) turn: Turn,
}

/// A function of a (query, key) pair.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Score {
    /// The function.
    pub(super) expr: PairExpr,
    /// Positions and integer streams are integers.
    pub(super) elem: Elem,
}

/// What an expression stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    /// Known when the model is built.
    Known(Known),
    /// A stream or parameter.
    Tensor(Tensor),
    /// A stream or parameter of complex numbers.
    Complex(Box<Complex>),
    /// Inside `where` and `score`.
    Score(Score),
    /// What `split` and `select` give.
    Tuple(Vec<Val>),
    /// What is wrong and has been reported.
    Poison,
}

/// A value where it is used: an operand of an operation, or an argument of a function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    /// The value.
    pub(super) val: Val,
    /// The expression that it comes from.
    pub(super) span: Span,
}

impl Val {
    /// The value as an operand that comes from this expression.
    pub(super) fn at(self, span: Span) -> Operand {
        Operand { val: self, span }
    }
}

impl Tensor {
    /// A node without index variables.
    pub(super) fn plain(v: Value) -> Tensor {
        Tensor {
            v,
            vars: Vec::new(),
            unknown: false,
        }
    }

    /// A node whose first axes run over variables.
    pub(super) fn over(v: Value, vars: Vec<Var>) -> Tensor {
        Tensor {
            v,
            vars,
            unknown: false,
        }
    }
}

impl Score {
    pub(super) fn new(expr: PairExpr, elem: Elem) -> Score {
        Score { expr, elem }
    }
}
