//! Rough cost of one entry of an operation, in additions; for the choice between storing and recomputing.

use seqc_ir::{BinaryOp, Elem, Graph, Op, UnaryOp, Value};

/// Cost of one result entry, without its operands.
pub fn of_entry(graph: &Graph, v: Value) -> f64 {
    match graph.op(v) {
        Op::Unary(op) => match op {
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not | UnaryOp::Floor | UnaryOp::Round => 1.0,
            UnaryOp::Sqrt | UnaryOp::Rsqrt => 8.0,
            _ => 16.0,
        },
        Op::Binary(op) => match op {
            BinaryOp::Div if graph.ty(v).elem == Elem::I64 => 16.0,
            BinaryOp::Div => 6.0,
            BinaryOp::Mod | BinaryOp::Pow => 24.0,
            _ => 1.0,
        },
        Op::Select => 1.0,
        Op::Gather => 2.0,
        Op::Reduce { .. } => {
            let (from, to) = (graph.ty(graph.operands(v)[0]).len(), graph.ty(v).len());
            (from / to.max(1)) as f64
        }
        _ => 0.0,
    }
}
