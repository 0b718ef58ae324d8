//! Says whether a recurrence can run as a fused scan, and along which axes.

use super::{
    Nest, Scan, ScanBlock,
    inline::{Leaf, Walk},
};
use crate::{affine::AffineExpr, machine::Machine, recurrence::Recurrence};
use seqc_ir::{Graph, Value};
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
    Loop,
}

impl Mode {
    /// What to try when this mode does not fit; `small`: the states may be stored for every token.
    pub(super) fn next(self, small: bool) -> Mode {
        match self {
            Mode::Fused => Mode::Cut,
            Mode::Cut if small => Mode::Stored,
            _ => Mode::Loop,
        }
    }
}

/// Values of a recurrence that only exist inside it: members and previous values.
pub(super) fn inner_values(recurrence: &Recurrence) -> HashSet<Value> {
    recurrence.members.iter().chain(&recurrence.previous).copied().collect()
}

/// The scan with the given outputs, if their reads of the state fit one loop nest.
pub(super) fn fit(
    graph: &Graph,
    recurrence: &Recurrence,
    outputs: Vec<Nest>,
    (stop, machine): (&dyn Fn(Value) -> bool, &Machine),
) -> Option<Scan> {
    let inner = inner_values(recurrence);
    let rank = graph.states[recurrence.states[0].0 as usize].ty.rank();
    let written: HashSet<Value> = outputs.iter().map(|nest| nest.value).collect();
    let stop_inside = |v: Value| inner.contains(&v) || stop(v);
    let walk = Walk {
        graph,
        stop: &stop_inside,
    };
    let mut kept: Option<Vec<usize>> = None;
    for nest in &outputs {
        if nest.shift.is_some() || rank == 0 {
            return None;
        }
        let space = graph.ty(nest.value).rank();
        let identity: Vec<AffineExpr> = (0..space).map(AffineExpr::axis).collect();
        let leaves = if inner.contains(&nest.value) {
            Vec::new()
        } else {
            walk.leaves(nest.value)
        };
        // What the scan itself writes is there only for the entries at hand.
        let elsewhere = |l: &Leaf| written.contains(&l.value) && !inner.contains(&l.value) && l.coords != identity;
        if leaves.iter().any(elsewhere) {
            return None;
        }
        let reads = leaves
            .into_iter()
            .filter(|l| inner.contains(&l.value))
            .map(|l| l.coords);
        let own = inner.contains(&nest.value).then_some(identity);
        for coords in reads.chain(own) {
            let here = kept_axes(&coords, space)?;
            if kept.get_or_insert_with(|| here.clone()) != &here {
                return None;
            }
        }
    }
    let kept = kept.unwrap_or_else(|| (0..rank).collect());
    let reduced: Vec<usize> = (0..rank).filter(|a| !kept.contains(a)).collect();
    let block = ScanBlock::new(graph, &recurrence.states, (&kept, &reduced), machine);
    (!kept.is_empty()).then(|| Scan {
        states: recurrence.states.clone(),
        block,
        kept,
        reduced,
        outputs,
        chunked: None,
    })
}

/// The state axis behind each axis of an output, when the state is read at plain axes: the output's own ones in any
/// order, then those of reductions in the order of the state's.
fn kept_axes(coords: &[AffineExpr], space: usize) -> Option<Vec<usize>> {
    let axes: Vec<usize> = coords.iter().map(AffineExpr::as_axis).collect::<Option<_>>()?;
    let distinct: HashSet<usize> = axes.iter().copied().collect();
    let reduced: Vec<usize> = axes.iter().copied().filter(|a| *a >= space).collect();
    if distinct.len() != axes.len() || !reduced.iter().copied().eq(space..space + reduced.len()) {
        return None;
    }
    (0..space).map(|a| axes.iter().position(|x| *x == a)).collect()
}
