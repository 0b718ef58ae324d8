//! `seqc explain`: what was recognised in a layer, which forms were considered, and what was chosen; all read from plans.

mod kernels;
mod memory;
mod recurrence;

use seqc_ir::Graph;
use seqc_passes::plan::{BufferId, Plan};
use std::{collections::HashSet, fmt::Write};

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
        let tensors = counted(constants.len(), "tensor is", "tensors are");
        let _ = writeln!(out, "load time: {tensors} computed once, from parameters alone");
    }
    let steps = kernels::steps(graph, &plan.kernels);
    let _ = writeln!(out, "a chunk runs {}", steps.join(", then "));
    out
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
