//! A rule: what it rewrites to what, and what its condition reads of a graph.

use seqc_ir::{BinaryOp, Graph, Op, ReduceOp, Ty, Value};

/// One rewriting of a value.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name, which reads from left to right.
    pub name: &'static str,
    /// A value that means the same; `None` where the pattern is not there or the condition does not hold.
    pub rewrite: fn(&mut Graph, Value) -> Option<Value>,
}

/// The number that a value is everywhere.
pub(super) fn constant(graph: &Graph, v: Value) -> Option<f64> {
    graph.op(v).as_const()
}

/// The operands of `v` where it is this function of two arguments.
pub(super) fn operands_of(graph: &Graph, v: Value, op: BinaryOp) -> Option<[Value; 2]> {
    (*graph.op(v) == Op::Binary(op)).then(|| graph.operands(v).try_into().ok())?
}

/// What `v` is a sum of, and over how many of its last axes.
pub(super) fn summed(graph: &Graph, v: Value) -> Option<(Value, usize)> {
    let Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    } = *graph.op(v)
    else {
        return None;
    };
    Some((graph.operands(v)[0], axes))
}

/// `c` everywhere, in the type of `v`.
pub(super) fn constant_like(graph: &mut Graph, v: Value, c: f64) -> Value {
    let ty = graph.ty(v).clone();
    graph.add(Op::Const(c), ty, &[])
}

/// The same elements in another shape.
pub(super) fn reshaped(graph: &mut Graph, v: Value, ty: Ty) -> Value {
    if *graph.ty(v) == ty {
        v
    } else {
        graph.add(Op::Reshape, ty, &[v])
    }
}
