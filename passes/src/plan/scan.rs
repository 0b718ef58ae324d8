//! Says whether a recurrence can run as a fused scan, and along which axes.

use super::{
    Misfit, ScanBlock,
    inline::{Leaf, Walk},
    types::{Nest, Plan, Scan},
};
use crate::{affine::AffineExpr, recurrence::Recurrence};
use seqc_ir::{Graph, Op, Value};
use std::collections::{HashMap, HashSet};

/// [`Recurrence::values`].
pub(super) fn inner_values(recurrence: &Recurrence) -> HashSet<Value> {
    recurrence.values().collect()
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
        // Each reduction of a scan has terms of its own, of one entry of the state.
        if Nested::new(graph, plan, &inner).reductions(nest.value) > Some(1) {
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
    // Lanes go along the last kept axis, which sums over a state have in its order: results in another one are made of stored sums.
    if kept.len() < rank && !kept.is_sorted() {
        return Err(Misfit::ReadsDiffer);
    }
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

/// Reductions that stand one inside the other between a value and a state.
struct Nested<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    inner: &'a HashSet<Value>,
    known: HashMap<Value, Option<usize>>,
}

impl<'a> Nested<'a> {
    fn new(graph: &'a Graph, plan: &'a Plan, inner: &'a HashSet<Value>) -> Nested<'a> {
        Nested {
            graph,
            plan,
            inner,
            known: HashMap::new(),
        }
    }

    /// How many there are; `None` where the value reads nothing of the state but what is stored.
    fn reductions(&mut self, v: Value) -> Option<usize> {
        if self.inner.contains(&v) {
            return Some(0);
        }
        if let Some(found) = self.known.get(&v) {
            return *found;
        }
        // What reads itself does so through the state.
        self.known.insert(v, None);
        let operands = self.graph.operands(v).into_iter();
        let unstored: Vec<Value> = operands
            .filter(|o| self.inner.contains(o) || !self.plan.is_stored(*o))
            .collect();
        let below = unstored.into_iter().filter_map(|o| self.reductions(o)).max();
        let own = usize::from(matches!(self.graph.op(v), Op::Reduce { .. }));
        let found = below.map(|below| below + own);
        self.known.insert(v, found);
        found
    }
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
