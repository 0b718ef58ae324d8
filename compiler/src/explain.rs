//! `seqc explain`: what was recognised in a layer, the forms considered, and what was chosen.

use seqc_ir::{Graph, Op, Value};
use seqc_passes::{
    keep::Keep,
    plan::{Kernel, Matmul, Plan, Scan},
    recurrence::{Class, Recurrence},
};
use std::fmt::Write;

/// Lines about one layer graph.
pub fn layer(graph: &Graph) -> String {
    let mut graph = graph.clone();
    seqc_passes::optimise(&mut graph);
    let plan = Plan::new(&graph);
    let mut out = String::new();
    for recurrence in &plan.recurrences {
        describe_recurrence(&mut out, &graph, &plan, recurrence);
    }
    for v in graph.live_order() {
        describe_memory(&mut out, &graph, v);
    }
    let constants = plan.load.len();
    if constants > 0 {
        let _ = writeln!(
            out,
            "load time: {constants} tensors are computed once, from parameters alone"
        );
    }
    let _ = writeln!(out, "a chunk runs {}", steps(&graph, &plan.kernels).join(", then "));
    out
}

fn describe_recurrence(out: &mut String, graph: &Graph, plan: &Plan, recurrence: &Recurrence) {
    let names: Vec<String> = recurrence
        .states
        .iter()
        .map(|s| {
            let state = &graph.states[s.0 as usize];
            format!("{} {:?}", state.name, state.ty.sizes())
        })
        .collect();
    let _ = writeln!(out, "recurrence {}: {}", names.join(", "), recurrence.class.name());
    let entries: usize = recurrence
        .states
        .iter()
        .map(|s| graph.states[s.0 as usize].ty.len())
        .sum();
    let scan = scans(&plan.kernels)
        .into_iter()
        .find(|scan| scan.states.iter().any(|s| recurrence.states.contains(s)));
    let _ = writeln!(out, "  considered: {}", considered(recurrence));
    match scan {
        Some(scan) => {
            let _ = writeln!(
                out,
                "  chosen: fused scan, {} lanes of axis {} at a time through all tokens, {}; {} bytes of state, no tensor of tokens x state",
                "a vector's",
                scan.kept.last().copied().unwrap_or(0),
                place(graph, &scan),
                entries * 4,
            );
        }
        None => {
            let _ = writeln!(
                out,
                "  chosen: one token after another, entries in parallel; {} bytes of state",
                entries * 4
            );
        }
    }
    let _ = writeln!(
        out,
        "  cost: about {} operations and {} bytes of state read and written a token",
        operations(graph, recurrence),
        entries * 8
    );
}

/// Forms that compute the same, cheapest first where several fit.
fn considered(recurrence: &Recurrence) -> &'static str {
    match recurrence.class {
        Class::Constant | Class::Diagonal | Class::Elementwise if recurrence.elementwise => {
            "fused scan, one token after another"
        }
        Class::ScalarPerHead if recurrence.elementwise => "fused scan, one token after another",
        _ => "one token after another (no entry of the state can be computed without the others)",
    }
}

fn place(graph: &Graph, scan: &Scan) -> &'static str {
    let sizes = graph.states[scan.states[0].0 as usize].ty.sizes();
    let entries: usize = scan.reduced.iter().map(|a| sizes[*a]).product::<usize>() * scan.states.len();
    if entries <= 16 {
        "state in registers"
    } else {
        "state in the first-level cache"
    }
}

fn operations(graph: &Graph, recurrence: &Recurrence) -> usize {
    recurrence.members.iter().map(|v| graph.ty(*v).len()).sum()
}

fn scans(kernels: &[Kernel]) -> Vec<Scan> {
    let found = kernels.iter().flat_map(|kernel| match kernel {
        Kernel::Scan(scan) => vec![scan.clone()],
        Kernel::Loop(body) => scans(body),
        Kernel::Products(_) | Kernel::Tokens(_) | Kernel::Attend(_) | Kernel::Heads { .. } | Kernel::Commit(_) => {
            Vec::new()
        }
    });
    found.collect()
}

fn describe_memory(out: &mut String, graph: &Graph, v: Value) {
    let operands = graph.operands(v);
    match graph.op(v) {
        Op::Attend(spec) => {
            let heads = graph.ty(operands[0]).dims[0].size;
            let keep = Keep::new(spec, heads);
            let form = if spec.causal {
                "causal"
            } else {
                "over the whole sequence"
            };
            let _ = writeln!(
                out,
                "attention, {heads} heads on {} of keys, {form}: scores are never stored; keeps {} tokens",
                graph.ty(operands[1]).dims[0].size,
                keep.bound(),
            );
        }
        Op::Delay { steps } => {
            let name = &graph.node(operands[0]).name;
            let name = if name.is_empty() { "a stream" } else { name };
            let _ = writeln!(out, "filter or delay: reads {name} {steps} tokens ago");
        }
        _ => {}
    }
}

fn steps(graph: &Graph, kernels: &[Kernel]) -> Vec<String> {
    let step = |kernel: &Kernel| match kernel {
        Kernel::Products(products) => product_step(graph, products),
        Kernel::Tokens(nests) => format!("{} loops over entries, token by token", nests.len()),
        Kernel::Scan(scan) => format!("a scan with {} results", scan.outputs.len()),
        Kernel::Attend(_) => "attention".to_owned(),
        Kernel::Heads { heads, nests, .. } => format!(
            "{heads} heads side by side, each token by token ({} loops)",
            nests.len()
        ),
        Kernel::Loop(body) => format!("for every token ({})", steps(graph, body).join(", ")),
        Kernel::Commit(states) => format!("{} states stored", states.len()),
    };
    kernels.iter().map(step).collect()
}

fn product_step(graph: &Graph, products: &[Matmul]) -> String {
    let all: Vec<Value> = products.iter().flat_map(|m| m.products.iter().copied()).collect();
    let shapes: Vec<String> = all
        .iter()
        .map(|v| format!("{}x{}", graph.ty(*v).len(), graph.ty(graph.operands(*v)[1]).len()))
        .collect();
    let fused: usize = products.iter().map(|m| m.epilogue.len()).sum();
    let with = if fused > 0 {
        format!(" with {fused} fused results")
    } else {
        String::new()
    };
    format!("products {}{with}", shapes.join(" "))
}
