//! `seqc explain`: what was recognised in a layer, the forms considered, and what was chosen.

use seqc_ir::{Graph, Op, Value};
use seqc_passes::{
    blocks::Blocks,
    keep::Keep,
    plan::{CHUNK, Chunked, Costs, Kernel, Matmul, Plan, Scan, scans},
    rate::Rate,
    recurrence::Recurrence,
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
    let heads = heads_of(&plan.kernels, recurrence);
    let products = products_of(&plan.kernels, recurrence);
    let form = products.as_ref().and_then(|scan| scan.chunked.as_ref());
    let considered = match form {
        Some(form) => two_forms(form),
        None => considered(recurrence, heads).to_owned(),
    };
    let _ = writeln!(out, "  considered: {considered}");
    let state = format!("{} bytes of state, no tensor of tokens x state", entries * 4);
    let chosen = match (scan, heads) {
        (Some(scan), _) => format!(
            "fused scan, a vector along axis {} at a time, {}",
            lane_axis(scan),
            place(graph, scan)
        ),
        (None, Some(1)) => "one token after another, by one thread".to_owned(),
        (None, Some(heads)) => format!("{heads} heads side by side, each one token after another"),
        (None, None) => "one token after another, entries in parallel".to_owned(),
    };
    let chosen = match products.as_ref().and_then(Scan::products) {
        Some((form, shortest)) => format!(
            "matrix products over blocks of {} tokens for chunks of {shortest} or more; for shorter ones and single tokens {chosen}",
            form.block
        ),
        None => chosen,
    };
    let _ = writeln!(out, "  chosen: {chosen}; {state}");
    let (operations, bytes) = (operations(graph, recurrence), entries * 8);
    let _ = writeln!(
        out,
        "  cost: about {operations} operations and {bytes} bytes of state read and written a token"
    );
}

fn lane_axis(scan: &Scan) -> usize {
    scan.kept.last().copied().unwrap_or(0)
}

/// The scan or heads of a recurrence, with the matrix form they have.
fn products_of(kernels: &[Kernel], recurrence: &Recurrence) -> Option<Scan> {
    let mut found = kernels.iter().filter_map(|kernel| match kernel {
        Kernel::Scan(scan) => Some(scan),
        Kernel::Heads { chunked, .. } => chunked.as_ref(),
        _ => None,
    });
    let own = |scan: &&Scan| scan.states.iter().any(|s| recurrence.states.contains(s));
    found.find(own).cloned()
}

/// The forms of a recurrence that has a decay for each head.
fn two_forms(form: &Chunked) -> String {
    let Costs { by_tokens, products } = form.costs;
    let (one, many) = match form.correction {
        Some(_) => ("head by head, one token after another", "chunked WY form"),
        None => ("fused scan", "chunked matrix form (state-space duality)"),
    };
    format!("{one}, as {by_tokens:.0} additions a token of a chunk of {CHUNK}; {many}, as {products:.0}")
}

/// Heads of the loop that runs a recurrence, when it falls apart into heads.
fn heads_of(kernels: &[Kernel], recurrence: &Recurrence) -> Option<usize> {
    kernels.iter().find_map(|kernel| match kernel {
        Kernel::Heads { heads, states, .. } if states.iter().any(|s| recurrence.states.contains(s)) => Some(*heads),
        _ => None,
    })
}

/// Forms that compute the same, cheapest first.
fn considered(recurrence: &Recurrence, heads: Option<usize>) -> &'static str {
    match (recurrence.elementwise, heads) {
        (true, _) => "fused scan, one token after another",
        (false, Some(heads)) if heads > 1 => "heads side by side, one token after another",
        (false, _) => "one token after another (no entry of the state can be computed without the others)",
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

fn describe_memory(out: &mut String, graph: &Graph, v: Value) {
    let operands = graph.operands(v);
    match graph.op(v) {
        Op::Attend(spec) => {
            let heads = graph.ty(operands[0]).dims[0].size;
            let rate = spec.on().map_or(Rate::ALL, |on| Rate::of(graph, operands[on]));
            let form = if spec.causal {
                "causal"
            } else {
                "over the whole sequence"
            };
            let _ = writeln!(
                out,
                "attention, {heads} heads on {} of keys, {form}: scores are never stored; keeps {} tokens",
                graph.ty(operands[1]).dims[0].size,
                rate.bound(&Keep::new(spec, heads)),
            );
        }
        Op::LongConv => describe_filter(out, graph, v),
        Op::Delay { steps } => {
            let name = &graph.node(operands[0]).name;
            let name = if name.is_empty() { "a stream" } else { name };
            let _ = writeln!(out, "filter or delay: reads {name} {steps} tokens ago");
        }
        Op::Window { taps, step } => {
            let _ = writeln!(out, "filter: reads a stream at {taps} tokens, {step} apart");
        }
        _ => {}
    }
}

fn describe_filter(out: &mut String, graph: &Graph, v: Value) {
    let operands = graph.operands(v);
    let channels = graph.ty(v).len();
    let taps = graph.ty(operands[1]).len() / channels.max(1);
    let blocks = Blocks::new(taps);
    let name = &graph.node(operands[0]).name;
    let name = if name.is_empty() { "a stream" } else { name };
    let (smallest, top, ring) = (blocks.smallest, blocks.top(), blocks.ring());
    let whole = taps as f64;
    let (plain, cut) = (blocks.plain_operations(whole), blocks.operations(whole));
    let _ = writeln!(
        out,
        "long convolution of {name}, {channels} channels, {taps} taps: filter given, not a recurrence"
    );
    let _ = writeln!(
        out,
        "  considered: the plain sum, {plain:.0} operations a channel and token; blocks with transforms, {cut:.0} on average over {taps} tokens"
    );
    let sizes = match blocks.sizes().last() {
        Some(last) => format!("transforms of {smallest} to {last} tokens as blocks end, "),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "  chosen: blocks, for prompts and token by token alike: sums inside {smallest} tokens, {sizes}spectra of the last {ring} blocks of {top}"
    );
    let state = 4.0 * channels as f64 * blocks.kept(f64::MAX);
    let _ = writeln!(
        out,
        "  cost: about {:.0} operations a token; up to {state:.0} bytes of state, {} bytes made of the filter when weights are loaded",
        cut * channels as f64,
        4 * channels * blocks.prepared()
    );
}

fn steps(graph: &Graph, kernels: &[Kernel]) -> Vec<String> {
    let step = |kernel: &Kernel| match kernel {
        Kernel::Products(products) => product_step(graph, products),
        Kernel::Tokens(nests) => format!("{} loops over entries, token by token", nests.len()),
        Kernel::Scan(scan) => format!("a scan with {} results", scan.outputs.len()),
        Kernel::Attend(_) => "attention".to_owned(),
        Kernel::LongConv(_) => "a long convolution".to_owned(),
        Kernel::Heads { heads: 1, nests, .. } => format!("{} loops over entries, one token after another", nests.len()),
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
