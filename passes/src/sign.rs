//! Sign analysis: bounds on the sign of a value from the operations that compute it. Weights may have any sign.

use seqc_ir::{BinaryOp, Graph, Op, ReduceOp, UnaryOp, Value};

/// Depth of the expression that is analysed.
const DEPTH: usize = 12;

/// A sign; NaN has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Zero or above.
    NotNegative,
    /// Zero or below.
    NotPositive,
    /// Not known.
    Any,
}

impl Sign {
    fn negated(self) -> Sign {
        match self {
            Sign::NotNegative => Sign::NotPositive,
            Sign::NotPositive => Sign::NotNegative,
            Sign::Any => Sign::Any,
        }
    }

    fn times(self, other: Sign) -> Sign {
        match self {
            Sign::NotNegative => other,
            Sign::NotPositive => other.negated(),
            Sign::Any => Sign::Any,
        }
    }

    /// The sign of what may be either.
    fn or(self, other: Sign) -> Sign {
        if self == other { self } else { Sign::Any }
    }
}

/// The sign of all entries of `v`.
pub fn sign(graph: &Graph, v: Value) -> Sign {
    within(graph, v, DEPTH)
}

/// The sign of `a * b`.
pub fn of_product(graph: &Graph, a: Value, b: Value) -> Sign {
    sign(graph, a).times(sign(graph, b))
}

fn within(graph: &Graph, v: Value, depth: usize) -> Sign {
    if depth == 0 {
        return Sign::Any;
    }
    let operands = graph.operands(v);
    let of = |n: usize| within(graph, operands[n], depth - 1);
    match graph.op(v) {
        Op::Const(c) if *c >= 0.0 => Sign::NotNegative,
        Op::Const(c) if *c <= 0.0 => Sign::NotPositive,
        Op::Iota { .. } | Op::Position => Sign::NotNegative,
        Op::Unary(op) => match op {
            UnaryOp::Exp | UnaryOp::Sigmoid | UnaryOp::Softplus | UnaryOp::Abs | UnaryOp::Sqrt | UnaryOp::Rsqrt => {
                Sign::NotNegative
            }
            UnaryOp::Neg => of(0).negated(),
            UnaryOp::Tanh | UnaryOp::Erf => of(0),
            _ => Sign::Any,
        },
        Op::Binary(op) => match op {
            BinaryOp::Mul if operands[0] == operands[1] => Sign::NotNegative,
            BinaryOp::Mul | BinaryOp::Div => of(0).times(of(1)),
            BinaryOp::Add => of(0).or(of(1)),
            BinaryOp::Sub => of(0).or(of(1).negated()),
            BinaryOp::Max | BinaryOp::Min => bounded(*op, of(0), of(1)),
            _ => Sign::Any,
        },
        Op::Select => of(1).or(of(2)),
        Op::View(_) | Op::Reshape | Op::Cast => of(0),
        Op::Reduce { op, .. } if *op != ReduceOp::Prod => of(0),
        Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Prev(_) => Sign::Any,
        Op::Concat { .. } | Op::Gather | Op::Reduce { .. } | Op::MatVec | Op::IndexedMatVec => Sign::Any,
        Op::Delay { .. } | Op::Window { .. } | Op::LongConv | Op::Attend(_) => Sign::Any,
        Op::Reverse | Op::RoundRow(_) => of(0),
    }
}

/// One operand is enough to bound the larger of two from below, or the smaller from above.
fn bounded(op: BinaryOp, a: Sign, b: Sign) -> Sign {
    let enough = if op == BinaryOp::Max {
        Sign::NotNegative
    } else {
        Sign::NotPositive
    };
    if a == enough || b == enough { enough } else { a.or(b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_ir::{Elem, Ty};

    #[test]
    fn signs_follow_from_operations() {
        let mut graph = Graph::default();
        let ty = Ty::scalar(Elem::F32);
        let x = graph.add(Op::Input(0), ty.clone(), &[]);
        let unary = |graph: &mut Graph, op, v| graph.add(Op::Unary(op), ty.clone(), &[v]);
        let step = unary(&mut graph, UnaryOp::Softplus, x);
        let power = unary(&mut graph, UnaryOp::Exp, x);
        let rate = unary(&mut graph, UnaryOp::Neg, power);
        let square = graph.add(Op::Binary(BinaryOp::Mul), ty.clone(), &[x, x]);
        let both = graph.add(Op::Binary(BinaryOp::Add), ty.clone(), &[step, square]);
        let mixed = graph.add(Op::Binary(BinaryOp::Sub), ty.clone(), &[step, square]);
        let larger = graph.add(Op::Binary(BinaryOp::Max), ty.clone(), &[x, step]);
        assert_eq!(sign(&graph, x), Sign::Any);
        assert_eq!(sign(&graph, rate), Sign::NotPositive);
        assert_eq!(of_product(&graph, step, rate), Sign::NotPositive);
        assert_eq!(of_product(&graph, x, rate), Sign::Any);
        assert_eq!(sign(&graph, both), Sign::NotNegative);
        assert_eq!(sign(&graph, mixed), Sign::Any);
        assert_eq!(sign(&graph, larger), Sign::NotNegative);
    }
}
