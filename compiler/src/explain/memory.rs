//! What a layer reads of earlier tokens beside recurrences: caches, filters, delays.

use super::{counted, recurrence::considered};
use seqc_ir::{Graph, Op, Value};
use seqc_passes::{
    conv_partition::ConvPartition,
    plan::{Decision, Plan, Subject},
};
use std::fmt::Write;

/// Lines about a node that reads earlier tokens; none about others.
pub(super) fn describe(out: &mut String, graph: &Graph, plan: &Plan, v: Value) {
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
        Op::LongConv => describe_filter(out, graph, plan, v),
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

fn describe_filter(out: &mut String, graph: &Graph, plan: &Plan, v: Value) {
    let operands = graph.operands(v);
    let channels = graph.ty(v).len();
    let taps = graph.ty(operands[1]).len() / channels.max(1);
    let blocks = ConvPartition::of(graph, v, &plan.settings);
    let name = &graph.node(operands[0]).name;
    let name = if name.is_empty() { "a stream" } else { name };
    let (smallest, top, ring) = (blocks.smallest, blocks.top(), blocks.ring());
    let cut = blocks.operations(taps as f64);
    let _ = writeln!(
        out,
        "long convolution of {name}, {channels} channels, {taps} taps: filter given, not a recurrence"
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
    let own = |d: &&Decision| d.about == Subject::Filter(v);
    considered(out, plan.decisions.iter().find(own));
    let state: f64 = blocks.kept(channels).iter().map(|kept| kept.at(f64::MAX)).sum();
    let _ = writeln!(
        out,
        "  cost: about {:.0} operations a token; up to {state:.0} bytes of state, {} bytes made of the filter when weights are loaded",
        cut * channels as f64,
        4 * channels * blocks.prepared()
    );
}
