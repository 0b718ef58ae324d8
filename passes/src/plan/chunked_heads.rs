//! The matrix form of a loop over tokens that falls apart into heads.

use super::{
    Misfit, ScanBlock, chunked,
    head_parallel::Heads,
    types::{Extent, Nest, Plan, Scan},
};
use crate::recurrence::Recurrence;
use seqc_ir::{Graph, Value};
use std::collections::HashSet;

/// The matrix form of a loop that falls apart into heads, or whose state is that of one, as that of a scan. What the loop stores beside
/// its results must not be read outside of it, and its next state has a single row, so that nothing else can read it.
pub(super) fn of_heads(graph: &Graph, plan: &Plan, recurrence: &Recurrence, heads: &Heads) -> Result<Scan, Misfit> {
    let members: HashSet<Value> = recurrence.members.iter().copied().collect();
    let (inside, outputs): (Vec<Nest>, Vec<Nest>) =
        heads.nests.iter().cloned().partition(|n| members.contains(&n.value));
    let results: HashSet<Value> = outputs.iter().map(|nest| nest.value).collect();
    let read_here = |v: &Value| members.contains(v) || results.contains(v);
    let [state] = recurrence.states[..] else {
        return Err(Misfit::SeveralStates);
    };
    let next = graph.states[state.0 as usize].next.ok_or(Misfit::NoMatrix)?;
    let escapes = |nest: &Nest| {
        let given = graph.outputs.iter().any(|(_, v)| *v == nest.value);
        given || nest.value != next && !graph.users(nest.value).iter().all(read_here)
    };
    // One matrix, or one for each head.
    let rank = graph.states[state.0 as usize].ty.rank();
    let no_row = |nest: &Nest| nest.shift.is_some() || graph.ty(nest.value).rank() + 1 != rank;
    if !(2..=3).contains(&rank) || outputs.iter().any(no_row) {
        return Err(Misfit::NoMatrix);
    }
    if rank == 3 && !heads.apart {
        return Err(Misfit::HeadsDepend);
    }
    let row = plan.stored.get(&next).map(|id| plan.buffer(*id).extent);
    if row != Some(Extent::Single) {
        return Err(Misfit::StateStored);
    }
    if inside.iter().any(escapes) {
        return Err(Misfit::ValuesEscape);
    }
    let written: HashSet<Value> = inside.iter().map(|nest| nest.value).collect();
    // The axis of the keys is the one that results sum over.
    let along = |n: usize, p: usize| -> Result<Scan, Misfit> {
        let kept = (0..rank - 2).chain([p]).collect::<Vec<usize>>();
        let mut scan = Scan {
            states: vec![state],
            block: ScanBlock::new(graph, &[state], &kept, &[n], &plan.settings.machine),
            kept,
            reduced: vec![n],
            outputs: outputs.clone(),
            chunked: None,
        };
        scan.chunked = Some(chunked::find(graph, plan, recurrence, &scan, &written)?);
        Ok(scan)
    };
    let [rows, columns] = [rank - 2, rank - 1];
    match along(rows, columns) {
        Err(Misfit::OtherReads) => along(columns, rows),
        found => found,
    }
}
