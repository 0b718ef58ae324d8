//! Says whether a recurrence can run as a fused scan, and along which axes.

use super::{Nest, Scan, inline::Walk};
use crate::recurrence::Recurrence;
use seqc_ir::{Graph, Op, Value};
use std::collections::HashSet;

/// How a recurrence is lowered; tried in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Consumers run inside the scan.
    Fused,
    /// Consumers run inside the scan up to their reductions.
    Cut,
    /// The states themselves are stored for every token (only when they are no wider than activations).
    Stored,
    /// Token by token.
    Sequential,
}

impl Mode {
    /// What to try when this mode does not fit.
    pub(super) fn next(self, small: bool) -> Mode {
        match self {
            Mode::Fused => Mode::Cut,
            Mode::Cut if small => Mode::Stored,
            _ => Mode::Sequential,
        }
    }
}

/// Values of a recurrence that only exist inside it: members and previous values.
pub(super) fn inner_values(graph: &Graph, recurrence: &Recurrence) -> HashSet<Value> {
    let mut inner: HashSet<Value> = recurrence.members.iter().copied().collect();
    let is_prev = |v: &Value| matches!(graph.op(*v), Op::Prev(s) if recurrence.states.contains(s));
    inner.extend(graph.values().into_iter().filter(is_prev));
    inner
}

/// The scan with the given outputs, if their reads of the state fit one loop nest.
pub(super) fn fit(
    graph: &Graph,
    recurrence: &Recurrence,
    outputs: Vec<Nest>,
    stop: &dyn Fn(Value) -> bool,
) -> Option<Scan> {
    let inner = inner_values(graph, recurrence);
    let rank = graph.states[recurrence.states[0].0 as usize].ty.rank();
    let stop_inside = |v: Value| inner.contains(&v) || stop(v);
    let walk = Walk { graph, stop: &stop_inside };
    let mut kept: Option<Vec<usize>> = None;
    for nest in &outputs {
        if nest.shift.is_some() {
            return None;
        }
        let space = graph.ty(nest.value).rank();
        let reads = if inner.contains(&nest.value) {
            vec![(0..space).map(crate::index::Lin::axis).collect()]
        } else {
            walk.leaves(nest.value).into_iter().filter(|l| inner.contains(&l.value)).map(|l| l.coords).collect::<Vec<_>>()
        };
        for coords in reads {
            let axes: Vec<usize> = coords.iter().map(|c| c.as_axis()).collect::<Option<_>>()?;
            let distinct: HashSet<usize> = axes.iter().copied().collect();
            if distinct.len() != axes.len() {
                return None;
            }
            // State axis of each axis of the output's space, in the output's order.
            let here: Vec<usize> =
                (0..space).map(|a| axes.iter().position(|x| *x == a)).collect::<Option<_>>()?;
            if kept.get_or_insert_with(|| here.clone()) != &here {
                return None;
            }
        }
    }
    let kept = kept.unwrap_or_else(|| (0..rank).collect());
    let reduced: Vec<usize> = (0..rank).filter(|a| !kept.contains(a)).collect();
    if kept.is_empty() && rank > 0 {
        return None;
    }
    Some(Scan { states: recurrence.states.clone(), kept, reduced, outputs })
}
