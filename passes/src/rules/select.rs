//! Selections whose condition is constant, or whose branches are equal.

use super::rule::{Rule, constant};
use seqc_ir::{Graph, Op, Value};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "select_by_const_is_branch",
        rewrite: select_by_const_is_branch,
    },
    Rule {
        name: "select_of_equals_is_branch",
        rewrite: select_of_equals_is_branch,
    },
];

fn select_by_const_is_branch(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Select = graph.op(v) else { return None };
    let operands = graph.operands(v);
    let c = constant(graph, operands[0])?;
    Some(if c != 0.0 { operands[1] } else { operands[2] })
}

fn select_of_equals_is_branch(graph: &mut Graph, v: Value) -> Option<Value> {
    let Op::Select = graph.op(v) else { return None };
    let operands = graph.operands(v);
    (operands[1] == operands[2]).then(|| operands[1])
}
