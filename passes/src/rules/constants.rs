//! Functions of constants are constants. Only those whose results agree with what a program computes up to rounding.

use super::rule::{Rule, constant, constant_like};
use seqc_ir::{BinaryOp, Elem, Graph, Op, UnaryOp, Value, eval::whole};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "function_of_const_is_const",
        rewrite: function_of_const_is_const,
    },
    Rule {
        name: "function_of_consts_is_const",
        rewrite: function_of_consts_is_const,
    },
    Rule {
        name: "cast_of_const_is_const",
        rewrite: cast_of_const_is_const,
    },
];

fn function_of_const_is_const(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Unary(op) = *graph.op(v) else { return None };
    let c = constant(graph, graph.operands(v)[0])?;
    if graph.ty(v).elem != Elem::F32 {
        return None;
    }
    let value = match op {
        UnaryOp::Neg => -c,
        UnaryOp::Abs => c.abs(),
        UnaryOp::Exp => c.exp(),
        UnaryOp::Log => c.ln(),
        UnaryOp::Sqrt => c.sqrt(),
        UnaryOp::Rsqrt => 1.0 / c.sqrt(),
        UnaryOp::Floor => c.floor(),
        UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Tanh | UnaryOp::Sigmoid | UnaryOp::Softplus | UnaryOp::Erf => {
            return None;
        }
        UnaryOp::Round | UnaryOp::Not => return None,
    };
    Some(constant_like(graph, v, value))
}

fn function_of_consts_is_const(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Binary(op) = *graph.op(v) else { return None };
    let operands = graph.operands(v);
    let (x, y) = (constant(graph, operands[0])?, constant(graph, operands[1])?);
    if graph.ty(v).elem != Elem::F32 {
        return None;
    }
    let value = match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div => x / y,
        BinaryOp::Pow => x.powf(y),
        BinaryOp::Max => x.max(y),
        BinaryOp::Min => x.min(y),
        BinaryOp::Mod | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => return None,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::And | BinaryOp::Or => return None,
    };
    Some(constant_like(graph, v, value))
}

/// Not to truth values, which come from comparisons alone.
fn cast_of_const_is_const(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Cast = graph.op(v) else { return None };
    let x = graph.operands(v)[0];
    let c = constant(graph, x)?;
    if graph.ty(x) == graph.ty(v) {
        return None;
    }
    let value = match graph.ty(v).elem {
        Elem::I64 => whole(c),
        Elem::F32 => c,
        Elem::Bool => return None,
    };
    Some(constant_like(graph, v, value))
}
