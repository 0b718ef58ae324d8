//! Functions of numbers: elementwise ones, and reductions.

/// Elementwise functions of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// `e^x`
    Exp,
    /// natural logarithm
    Log,
    /// square root
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// sine, radians
    Sin,
    /// cosine, radians
    Cos,
    /// hyperbolic tangent
    Tanh,
    /// logistic function `1 / (1 + e^-x)`
    Sigmoid,
    /// `log(1 + e^x)`
    Softplus,
    /// Gauss error function
    Erf,
    /// largest integer not above x
    Floor,
    /// nearest integer, ties to even
    Round,
    /// logical negation of a Bool
    Not,
}

/// Elementwise functions of two arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `x + y`
    Add,
    /// `x - y`
    Sub,
    /// `x * y`
    Mul,
    /// `x / y` (on I64: rounded down)
    Div,
    /// remainder with the divisor's sign (on I64: in `0..y`)
    Mod,
    /// `x ** y`
    Pow,
    /// larger of the two
    Max,
    /// smaller of the two
    Min,
    /// `x < y`
    Lt,
    /// `x <= y`
    Le,
    /// `x > y`
    Gt,
    /// `x >= y`
    Ge,
    /// `x == y`
    Eq,
    /// `x != y`
    Ne,
    /// both
    And,
    /// either
    Or,
}

/// Associative reductions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    /// Sum; 0 when empty.
    Sum,
    /// Product; 1 when empty.
    Prod,
    /// Largest.
    Max,
    /// Smallest.
    Min,
}

impl BinaryOp {
    /// True when the result is a truth value.
    pub fn is_predicate(self) -> bool {
        use BinaryOp::*;
        matches!(self, Lt | Le | Gt | Ge | Eq | Ne | And | Or)
    }
}
