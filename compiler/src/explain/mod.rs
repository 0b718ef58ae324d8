//! `seqc explain`: the recurrences of a layer, the forms considered and the ones chosen; all read from plans.

mod kernels;
mod memory;
mod recurrence;
mod words;

use seqc_ir::Graph;
use seqc_passes::{
    attention::clock_rate::ClockRate,
    plan::{BufferId, Plan},
    planned::PlannedModel,
};
use std::{collections::HashSet, fmt::Write};
use words::counted;

/// Lines about the tokens at which layers of one kind run, where these are not all.
pub fn parts_of(planned: &PlannedModel<'_>, kind: usize) -> Vec<String> {
    let (model, mut lines) = (planned.model, Vec::new());
    for (part, rate) in model.clocked.iter().zip(&planned.rates) {
        let layers = model.calls[part.calls.clone()].iter();
        let count = layers.filter(|call| call.kind.0 as usize == kind).count();
        if count == 0 {
            continue;
        }
        let rate = match *rate {
            ClockRate::ALL => "as data decide".to_owned(),
            ClockRate { ticks, period } => format!("{ticks} of {period} tokens"),
        };
        let layers = counted(count, "layer", "layers");
        lines.push(format!("{layers} at the ticks of {}: {rate}", part.name));
    }
    lines
}

/// Lines about one layer graph, from its plans for several machines; they differ in blocks of scans alone.
pub fn layer(graph: &Graph, plans: &[&Plan]) -> String {
    let Some(plan) = plans.first() else {
        return String::new();
    };
    let mut out = String::new();
    recurrence::describe(&mut out, graph, plans);
    for v in graph.live_order() {
        memory::describe(&mut out, graph, plan, v);
    }
    let constants: HashSet<BufferId> = plan.load.iter().map(|nest| nest.into).collect();
    if !constants.is_empty() {
        let tensors = counted(constants.len(), "tensor", "tensors");
        let _ = writeln!(out, "load time: {tensors} computed from parameters");
    }
    let steps = kernels::steps(graph, &plan.kernels);
    let _ = writeln!(out, "kernels of a chunk: {}", steps.join("; "));
    out
}
