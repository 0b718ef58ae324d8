//! What a layer reads of earlier tokens beside recurrences: caches, filters, delays. Also sums over matrices that data choose.

use super::{recurrence::considered, words::counted};
use seqc_formats::Encoding;
use seqc_ir::{Clock, Graph, Op, Value};
use seqc_passes::{
    attention::clock_rate::ClockRate,
    conv_partition::ConvPartition,
    plan::{Decision, Plan, Subject},
    rules::why_entry_by_entry,
};
use std::fmt::Write;

/// Lines about a node that reads earlier tokens, or costs more than it need; none about others.
pub(super) fn describe(out: &mut String, graph: &Graph, plan: &Plan, v: Value) {
    let operands = graph.operands(v);
    match graph.op(v) {
        Op::Attend(spec) => {
            let heads = graph.ty(operands[0]).dims[0].size;
            let known = &plan.attentions[&v];
            let form = match (spec.clock, spec.causal) {
                (Clock::Memory, _) => "to the rows of the memory",
                (_, true) => "causal",
                (_, false) => "bidirectional",
            };
            let stored = match spec.stored {
                Encoding::F32 => String::new(),
                other => format!(" in {other}"),
            };
            let named = known
                .named
                .as_ref()
                .map_or(String::new(), |named| format!("; a query reads {named}"));
            let _ = writeln!(
                out,
                "attention, {heads} query heads, {} key heads, {form}: scores are not materialised; KV cache of {}{stored}{named}",
                graph.ty(operands[1]).dims[0].size,
                known.kept(ClockRate::ALL),
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
        Op::Concat { .. } | Op::Gather | Op::MatVec | Op::IndexedMatVec | Op::RoundRow(_) => {}
        Op::Reduce { .. } => describe_chosen(out, graph, v),
    }
}

/// The name of a stream in the source.
fn name_of(graph: &Graph, v: Value) -> &str {
    match graph.node(v).name.as_str() {
        "" => "a stream",
        name => name,
    }
}

/// A line about a sum over matrices that data choose, which costs far more entry by entry than as products.
fn describe_chosen(out: &mut String, graph: &Graph, v: Value) {
    let Some(reason) = why_entry_by_entry(graph, v) else {
        return;
    };
    let name = &graph.node(v).name;
    let name = if name.is_empty() { "a sum" } else { name };
    let _ = writeln!(
        out,
        "{name} over chosen matrices: computed entry by entry, since {reason}"
    );
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
