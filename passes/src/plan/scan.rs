//! Says whether a recurrence can run as a fused scan, and along which axes.

use super::{
    Misfit, ScanBlock,
    inline::{Leaf, Walk},
    types::{Nest, Plan, Scan},
};
use crate::{affine::AffineExpr, recurrence::Recurrence};
use seqc_ir::{Graph, Value};
use std::collections::HashSet;

/// Values of a recurrence that only exist inside it: members and previous values.
pub(super) fn inner_values(recurrence: &Recurrence) -> HashSet<Value> {
    recurrence.members.iter().chain(&recurrence.previous).copied().collect()
}

/// The scan with the given outputs, if their reads of the state fit one loop nest.
pub(super) fn fit(graph: &Graph, plan: &Plan, recurrence: &Recurrence, outputs: Vec<Nest>) -> Result<Scan, Misfit> {
    let inner = inner_values(recurrence);
    let sizes = graph.states[recurrence.states[0].0 as usize].ty.sizes();
    let rank = sizes.len();
    let written: HashSet<Value> = outputs.iter().map(|nest| nest.value).collect();
    let stop_inside = |v: Value| inner.contains(&v) || plan.is_stored(v);
    let walk = Walk {
        graph,
        stop: &stop_inside,
    };
    let mut kept: Option<Vec<usize>> = None;
    for nest in &outputs {
        if nest.shift.is_some() || rank == 0 {
            return Err(Misfit::ReadsDiffer);
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
            return Err(Misfit::ReadsDiffer);
        }
        let reads: Vec<Leaf> = leaves.into_iter().filter(|l| inner.contains(&l.value)).collect();
        // The loops of a scan go over all of its state.
        if !reads.iter().all(|l| l.is_whole(&sizes)) {
            return Err(Misfit::ReadsDiffer);
        }
        let reads = reads.into_iter().map(|l| l.coords);
        let own = inner.contains(&nest.value).then_some(identity);
        for coords in reads.chain(own) {
            let here = kept_axes(&coords, space).ok_or(Misfit::ReadsDiffer)?;
            if kept.get_or_insert_with(|| here.clone()) != &here {
                return Err(Misfit::ReadsDiffer);
            }
        }
    }
    let kept = kept.unwrap_or_else(|| (0..rank).collect());
    let reduced: Vec<usize> = (0..rank).filter(|a| !kept.contains(a)).collect();
    let block = ScanBlock::new(graph, &recurrence.states, &kept, &reduced, &plan.settings.machine);
    let scan = Scan {
        states: recurrence.states.clone(),
        block,
        kept,
        reduced,
        outputs,
        chunked: None,
    };
    (!scan.kept.is_empty()).then_some(scan).ok_or(Misfit::ReadsDiffer)
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
