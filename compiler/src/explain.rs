//! `seqc explain`: what was recognised in a layer, the forms considered, and what was chosen.

use seqc_ir::{Graph, Op, StateId, Value};
use seqc_passes::{
    conv_partition::ConvPartition,
    cost,
    plan::{BufferId, Chunked, Costs, Extent, Kernel, Matmul, Plan, Scan, Settings, scans},
    recurrence::Recurrence,
};
use std::{collections::HashSet, fmt::Write};

/// Lines about one layer graph, from its plans for several machines; they differ in blocks of scans alone.
pub fn layer(graph: &Graph, plans: &[&Plan]) -> String {
    let Some(plan) = plans.first() else {
        return String::new();
    };
    let mut out = String::new();
    for recurrence in &plan.recurrences {
        describe_recurrence(&mut out, graph, plans, recurrence);
    }
    for v in graph.live_order() {
        describe_memory(&mut out, graph, plan, v);
    }
    let constants: HashSet<BufferId> = plan.load.iter().map(|nest| nest.into).collect();
    let constants = constants.len();
    if constants > 0 {
        let _ = writeln!(
            out,
            "load time: {} computed once, from parameters alone",
            counted(constants, "tensor is", "tensors are")
        );
    }
    let _ = writeln!(out, "a chunk runs {}", steps(graph, &plan.kernels).join(", then "));
    out
}

fn describe_recurrence(out: &mut String, graph: &Graph, plans: &[&Plan], recurrence: &Recurrence) {
    let plan = plans[0];
    let names: Vec<String> = recurrence
        .states
        .iter()
        .map(|s| {
            let state = &graph.states[s.0 as usize];
            format!("{} {:?}", state.name, state.ty.sizes())
        })
        .collect();
    let _ = writeln!(out, "recurrence {}: {}", names.join(", "), recurrence.class.name());
    let entries: usize = recurrence.states.iter().map(|s| state_entries(graph, *s)).sum();
    let heads = heads_of(&plan.kernels, recurrence);
    let products = products_of(&plan.kernels, recurrence);
    let form = products.as_ref().and_then(|scan| scan.chunked.as_ref());
    let considered = match form {
        Some(form) => two_forms(form),
        None => considered(recurrence, heads).to_owned(),
    };
    let _ = writeln!(out, "  considered: {considered}");
    let chosen = chosen(plans, recurrence);
    let chosen = match products.as_ref().and_then(Scan::products) {
        Some((form, shortest)) => format!(
            "matrix products over blocks of {} tokens for chunks of {shortest} or more; for shorter ones and single tokens {chosen}",
            form.block
        ),
        None => chosen,
    };
    let stored = stored_rows(graph, plan, recurrence);
    let _ = writeln!(out, "  chosen: {chosen}; {} bytes of state, {stored}", entries * 4);
    let operations = cost::of_recurrence(graph, plan, recurrence);
    let _ = writeln!(
        out,
        "  cost: about {operations:.0} operations a token; {} bytes of state read and written by a token alone",
        entries * 8
    );
}

fn state_entries(graph: &Graph, s: StateId) -> usize {
    graph.states[s.0 as usize].ty.len()
}

/// How single tokens are computed, and chunks that have no matrix form.
fn chosen(plans: &[&Plan], recurrence: &Recurrence) -> String {
    let plan = plans[0];
    let own = |scan: &&Scan| scan.states.iter().any(|s| recurrence.states.contains(s));
    let whole = |plan: &Plan| {
        plan.kernels.iter().find_map(|kernel| match kernel {
            Kernel::Scan(scan) => Some(scan).filter(own).cloned(),
            _ => None,
        })
    };
    let inside = scans(&plan.kernels).into_iter().find(own);
    match (whole(plan), inside, heads_of(&plan.kernels, recurrence)) {
        (Some(_), _, _) => {
            let scans: Vec<(&str, Scan)> = plans
                .iter()
                .filter_map(|plan| Some((plan.settings.machine.name, whole(plan)?)))
                .collect();
            format!("fused scan, {}", block(&scans))
        }
        (None, Some(_), _) => "one token after another, its entries in a scan of their own".to_owned(),
        (None, None, Some(1)) => "one token after another, by one thread".to_owned(),
        (None, None, Some(heads)) => format!("{heads} heads side by side, each one token after another"),
        (None, None, None) => "one token after another, entries in parallel".to_owned(),
    }
}

/// What goes through the tokens by itself, and where it is meanwhile: on the first machine, and on others where that differs.
fn block(scans: &[(&str, Scan)]) -> String {
    let of = |scan: &Scan| {
        let (block, axis) = (scan.block, scan.kept.last().copied().unwrap_or(0));
        let place = match block.in_registers {
            true => "in registers".to_owned(),
            false => format!("in memory, {} bytes", block.bytes()),
        };
        format!(
            "{} entries along axis {axis} at a time with their state {place}",
            block.lanes
        )
    };
    let mut said = scans.iter().map(|(name, scan)| (name, of(scan)));
    let Some((_, mut text)) = said.next() else {
        return String::new();
    };
    let first = text.clone();
    for (name, other) in said.filter(|(_, other)| *other != first) {
        let _ = write!(text, " ({name}: {other})");
    }
    text
}

/// What a chunk stores of the state for each of its tokens.
fn stored_rows(graph: &Graph, plan: &Plan, recurrence: &Recurrence) -> String {
    let largest = recurrence.states.iter().map(|s| state_entries(graph, *s)).max();
    let inside = |v: &Value| recurrence.members.contains(v);
    let rows = plan
        .buffers
        .iter()
        .filter(|b| b.extent == Extent::PerToken && inside(&b.value));
    let rows: usize = rows
        .filter(|b| Some(b.len) >= largest)
        .map(|b| b.len * b.entry_bytes())
        .sum();
    match rows {
        0 => "no tensor of tokens x state".to_owned(),
        rows => format!("{rows} bytes of it stored for every token of a chunk"),
    }
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
    format!(
        "{one}, as {by_tokens:.0} additions a token of a chunk of {}; {many}, as {products:.0}",
        Settings::CHUNK
    )
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

fn describe_memory(out: &mut String, graph: &Graph, plan: &Plan, v: Value) {
    let operands = graph.operands(v);
    match graph.op(v) {
        Op::Attend(spec) => {
            let heads = graph.ty(operands[0]).dims[0].size;
            let known = &plan.attentions[&v];
            let form = if spec.causal {
                "causal"
            } else {
                "over the whole sequence"
            };
            let _ = writeln!(
                out,
                "attention, {heads} heads on {} of keys, {form}: scores are never stored; keeps {} tokens",
                graph.ty(operands[1]).dims[0].size,
                known.rate.bound(&known.span),
            );
        }
        Op::LongConv => describe_filter(out, graph, v),
        Op::Delay { steps } => {
            let name = &graph.node(operands[0]).name;
            let name = if name.is_empty() { "a stream" } else { name };
            let tokens = counted(*steps, "token", "tokens");
            let _ = writeln!(out, "filter or delay: reads {name} {tokens} ago");
        }
        Op::Window { taps, step } => {
            let _ = writeln!(out, "filter: reads a stream at {taps} tokens, {step} apart");
        }
        // Recurrences are described as a whole, not by their nodes.
        Op::Prev(_) | Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Iota { .. } | Op::Position => {}
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::View(_) | Op::Reshape => {}
        Op::Concat { .. } | Op::Gather | Op::Reduce { .. } | Op::MatVec => {}
    }
}

fn describe_filter(out: &mut String, graph: &Graph, v: Value) {
    let operands = graph.operands(v);
    let channels = graph.ty(v).len();
    let taps = graph.ty(operands[1]).len() / channels.max(1);
    let blocks = ConvPartition::new(taps);
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
        Some(last) if *last == smallest => format!("transforms of {smallest} tokens as blocks end, "),
        Some(last) => format!("transforms of {smallest} to {last} tokens as blocks end, "),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "  chosen: blocks, for prompts and token by token alike: sums inside {smallest} tokens, {sizes}spectra of the last {ring} blocks of {top}"
    );
    let state: f64 = blocks.kept(channels).iter().map(|kept| kept.at(f64::MAX)).sum();
    let _ = writeln!(
        out,
        "  cost: about {:.0} operations a token; up to {state:.0} bytes of state, {} bytes made of the filter when weights are loaded",
        cut * channels as f64,
        4 * channels * blocks.prepared()
    );
}

fn steps(graph: &Graph, kernels: &[Kernel]) -> Vec<String> {
    let step = |kernel: &Kernel| match kernel {
        Kernel::Matmuls(products) => product_step(graph, products),
        Kernel::Map(nests) => format!("{} over entries, token by token", loops(nests.len())),
        Kernel::Scan(scan) => format!("a scan with {}", counted(scan.outputs.len(), "result", "results")),
        Kernel::Attend(_) => "attention".to_owned(),
        Kernel::LongConv(_) => "a long convolution".to_owned(),
        Kernel::Heads { heads: 1, nests, .. } => {
            format!("{} over entries, one token after another", loops(nests.len()))
        }
        Kernel::Heads { heads, nests, .. } => format!(
            "{heads} heads side by side, each token by token ({})",
            loops(nests.len())
        ),
        Kernel::Loop(body) => format!("for every token ({})", steps(graph, body).join(", ")),
        Kernel::Commit(states) => format!("{} stored", counted(states.len(), "state", "states")),
    };
    kernels.iter().map(step).collect()
}

fn loops(n: usize) -> String {
    counted(n, "loop", "loops")
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn product_step(graph: &Graph, products: &[Matmul]) -> String {
    let all: Vec<Value> = products.iter().flat_map(|m| m.products.iter().copied()).collect();
    let shapes: Vec<String> = all
        .iter()
        .map(|v| format!("{}x{}", graph.ty(*v).len(), graph.ty(graph.operands(*v)[1]).len()))
        .collect();
    let fused: usize = products.iter().map(|m| m.epilogue.len()).sum();
    let with = if fused > 0 {
        format!(" with {}", counted(fused, "fused result", "fused results"))
    } else {
        String::new()
    };
    format!("products {}{with}", shapes.join(" "))
}
