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
    let condition = match graph.op(condition) {
        Op::View(_) => graph.operands(condition)[0],
        _ => condition,
    };
    let previous = |of: Value| match graph.op(of) {
        Op::Prev(s) => Some(*s),
        _ => None,
    };
    let (state, changes, value) = match (previous(yes), previous(no)) {
        (_, Some(s)) => (s, true, yes),
        (Some(s), None) => (s, false, no),
        (None, None) => return None,
    };
    (graph.ty(condition).rank() == 0).then_some(Held {
        state,
        condition,
        changes,
        value,
    })
}
