//! What only moves entries: views, reshapes, conversions and concatenations that do nothing, or that one operation does.

use super::rule::{Rule, constant, constant_like};
use seqc_ir::{Graph, IndexExpr, Op, Value, joined_views};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "identity_view_is_x",
        rewrite: identity_view_is_x,
    },
    Rule {
        name: "view_of_const_is_const",
        rewrite: view_of_const_is_const,
    },
    Rule {
        name: "view_of_view_is_view",
        rewrite: view_of_view_is_view,
    },
    Rule {
        name: "reshape_to_same_shape_is_x",
        rewrite: reshape_to_same_shape_is_x,
    },
    Rule {
        name: "reshape_of_const_is_const",
        rewrite: reshape_of_const_is_const,
    },
    Rule {
        name: "reshape_of_reshape_is_reshape",
        rewrite: reshape_of_reshape_is_reshape,
    },
    Rule {
        name: "cast_to_same_type_is_x",
        rewrite: cast_to_same_type_is_x,
    },
    Rule {
        name: "concat_of_one_is_x",
        rewrite: concat_of_one_is_x,
    },
];

/// The operand of a value, and that it has the value's type.
fn operand(graph: &Graph, v: Value) -> (Value, bool) {
    let x = graph.operands(v)[0];
    (x, graph.ty(x) == graph.ty(v))
}

fn identity_view_is_x(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::View(map) = graph.op(v) else { return None };
    let (x, alike) = operand(graph, v);
    let identity = map.iter().enumerate().all(|(i, e)| *e == IndexExpr::Axis(i));
    (identity && alike).then_some(x)
}

fn view_of_const_is_const(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::View(_) = graph.op(v) else { return None };
    let c = constant(graph, graph.operands(v)[0])?;
    Some(constant_like(graph, v, c))
}

/// As long as the indices stay short.
fn view_of_view_is_view(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::View(outer) = graph.op(v) else { return None };
    let inner_view = graph.operands(v)[0];
    let Op::View(inner) = graph.op(inner_view) else {
        return None;
    };
    let joined = joined_views(inner, outer)?;
    let (origin, ty) = (graph.operands(inner_view)[0], graph.ty(v).clone());
    Some(graph.add(Op::View(joined), ty, &[origin]))
}

fn reshape_to_same_shape_is_x(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Reshape = graph.op(v) else { return None };
    let (x, alike) = operand(graph, v);
    alike.then_some(x)
}

fn reshape_of_const_is_const(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Reshape = graph.op(v) else { return None };
    let c = constant(graph, graph.operands(v)[0])?;
    Some(constant_like(graph, v, c))
}

fn reshape_of_reshape_is_reshape(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Reshape = graph.op(v) else { return None };
    let inner = graph.operands(v)[0];
    let Op::Reshape = graph.op(inner) else { return None };
    let (origin, ty) = (graph.operands(inner)[0], graph.ty(v).clone());
    Some(graph.add(Op::Reshape, ty, &[origin]))
}

fn cast_to_same_type_is_x(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Cast = graph.op(v) else { return None };
    let (x, alike) = operand(graph, v);
    alike.then_some(x)
}

fn concat_of_one_is_x(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Concat { .. } = graph.op(v) else { return None };
    let operands = graph.operands(v);
    (operands.len() == 1).then(|| operands[0])
}
