//! Values that states keep from token to token but where a condition says otherwise: weights that are constant for a number of tokens,
//! and states that begin as something else than zeros.

use seqc_ir::{Graph, Op, StateId, Value};

/// `select(condition, value, previous)`, of which all entries change or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The state whose previous value it is at other tokens, entry by entry.
    pub state: StateId,
    /// A truth value of the token.
    pub condition: Value,
    /// What the condition is where the value changes.
    pub changes: bool,
    /// What it changes to.
    pub value: Value,
}

/// What `v` holds, if it does.
pub fn held(graph: &Graph, v: Value) -> Option<Held> {
    let operands = graph.operands(v);
    let (Op::Select, &[condition, yes, no]) = (graph.op(v), &operands[..]) else {
        return None;
    };
    // One truth value for all entries.
    let condition = if matches!(graph.op(condition), Op::View(_)) {
        graph.operands(condition)[0]
    } else {
        condition
    };
    let (state, changes, value) = if let Op::Prev(s) = graph.op(no) {
        (*s, true, yes)
    } else if let Op::Prev(s) = graph.op(yes) {
        (*s, false, no)
    } else {
        return None;
    };
    (graph.ty(condition).rank() == 0).then_some(Held {
        state,
        condition,
        changes,
        value,
    })
}
