//! What a layer reads of earlier tokens beside recurrences: caches, filters, delays.

use super::{recurrence::considered, words::counted};
use seqc_formats::Encoding;
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
            let form = if spec.causal { "causal" } else { "bidirectional" };
            let stored = match spec.stored {
                Encoding::F32 => String::new(),
                other => format!(" in {other}"),
            };
            let _ = writeln!(
                out,
                "attention, {heads} query heads, {} key heads, {form}: scores are not materialised; KV cache of {} tokens{stored}",
                graph.ty(operands[1]).dims[0].size,
                known.entries(),
            );
        }
        Op::LongConv => describe_filter(out, graph, plan, v),
        Op::Delay { steps } => {
            let name = name_of(graph, operands[0]);
            let tokens = counted(*steps, "token", "tokens");
            let _ = writeln!(out, "delay or short convolution: reads {name} {tokens} ago");
        }
        Op::Reverse => {
            let _ = writeln!(
                out,
                "{} from the end of the sequence: its rows are copied",
                name_of(graph, operands[0])
            );
        }
        Op::Window { taps, step } => {
            let _ = writeln!(out, "convolution: {taps} taps, dilation {step}");
        }
        // Recurrences are described as a whole, not by their nodes.
        Op::Prev(_) | Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Iota { .. } | Op::Position => {}
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::View(_) | Op::Reshape => {}
        Op::Concat { .. } | Op::Gather | Op::Reduce { .. } | Op::MatVec | Op::IndexedMatVec => {}
    }
}

/// The name of a stream in the source.
fn name_of(graph: &Graph, v: Value) -> &str {
    match graph.node(v).name.as_str() {
        "" => "a stream",
        name => name,
    }
}

fn describe_filter(out: &mut String, graph: &Graph, plan: &Plan, v: Value) {
    let operands = graph.operands(v);
    let channels = graph.ty(v).len();
    let taps = graph.ty(operands[1]).len() / channels.max(1);
    let blocks = ConvPartition::of(graph, v, &plan.settings);
    let name = name_of(graph, operands[0]);
    let (smallest, top, ring) = (blocks.smallest, blocks.top(), blocks.ring());
    let cut = blocks.operations(taps as f64);
    let _ = writeln!(
        out,
        "long convolution of {name}, {channels} channels, {taps} taps: explicit filter"
    );
    let sizes = match blocks.sizes().last() {
        Some(last) if *last == smallest => format!("FFTs of blocks of {smallest} tokens, "),
        Some(last) => format!("FFTs of blocks of {smallest} to {last} tokens, "),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "  chosen: partitioned convolution in prefill and decoding: direct sums over {smallest} tokens, {sizes}spectra of the last {ring} blocks of {top} tokens"
    );
    let own = |d: &&Decision| d.about == Subject::Filter(v);
    considered(out, plan.decisions.iter().find(own));
    let state: f64 = blocks.kept(channels).iter().map(|kept| kept.at(f64::MAX)).sum();
    let _ = writeln!(
        out,
        "  cost: about {:.0} operations per token; up to {state:.0} bytes of state, {} bytes of constants computed from the filter at load time",
        cut * channels as f64,
        4 * channels * blocks.prepared()
    );
}
