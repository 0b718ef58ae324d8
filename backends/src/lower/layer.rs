//! The functions of one layer graph: load, one token, a chunk.

use super::{
    args::Args,
    attend, chunked,
    cx::{Cx, Layer, Scope},
    long_conv, nest, products, round, run,
    slots::{self, Source},
    tokens::Tokens,
};
use crate::{
    kernel::{Func, Module, Scalar, Val},
    kernels,
};
use seqc_passes::plan::{BufferId, Kernel, layout};
use std::collections::HashMap;

/// A buffer that keeps rows of earlier tokens, and its entry in the layer's table of states.
#[derive(Clone, Copy)]
struct History {
    buffer: BufferId,
    entry: usize,
}

/// Name of the load-time function of a layer, which one thread runs; it takes what the others take ([`Args`]).
pub(super) fn load_name(layer: &Layer<'_>) -> String {
    format!("{}_load", layer.name)
}

/// Name of the function for one token.
pub(super) fn token_name(layer: &Layer<'_>) -> String {
    format!("{}_token", layer.name)
}

/// Name of the function for a chunk.
pub(super) fn chunk_name(layer: &Layer<'_>) -> String {
    format!("{}_chunk", layer.name)
}

/// Name of the function that fills the caches of its attentions to the memory, of a layer that has some.
pub(super) fn remember_name(layer: &Layer<'_>) -> String {
    format!("{}_remember", layer.name)
}

/// Adds a layer's functions and all that they call.
pub(super) fn add(layer: &Layer<'_>, module: &mut Module) {
    for encoding in &layer.encodings {
        kernels::row(module, &layer.target, *encoding);
    }
    kernels::copy(module, layer.lanes());
    products::prepare(layer, module);
    round::prepare(layer, module);
    attend::prepare(layer, module);
    long_conv::prepare(layer, module);
    chunked::prepare(layer, module);
    add_load(layer, module);
    add_step(layer, module, &token_name(layer), 1);
    add_step(layer, module, &chunk_name(layer), layer.plan.settings.max_chunk);
    if attend::to_memory(layer).next().is_some() {
        add_remember(layer, module);
    }
}

/// Bytes of scratch that a thread needs in this layer.
pub(super) fn scratch_bytes(layer: &Layer<'_>) -> usize {
    let own = layer.schedule.scratch_bytes;
    own.max(chunked::scratch_bytes(layer)).next_multiple_of(64)
}

fn add_load(layer: &Layer<'_>, module: &mut Module) {
    // The arguments of a step, so that both kinds of function are written by the same code.
    let name = load_name(layer);
    let mut f = Func::new(&name, &Args::TYPES, None);
    let layout = layout(layer.graph, layer.plan, layer.plan.settings.max_chunk);
    let cx = Cx::load(&f, &name, layer, &layout);
    cx.in_parts(&mut f, &layer.plan.load, &[], &mut |cx, f, nests, _| {
        for n in nests {
            nest::nest(cx, f, None, n, nest::Portion::All);
        }
    });
    long_conv::load(&cx, &mut f);
    cx.add_parts(module);
    module.add(f);
}

fn add_step(layer: &Layer<'_>, module: &mut Module, name: &str, rows: usize) {
    let mut f = Func::new(name, &Args::TYPES, None);
    let layout = layout(layer.graph, layer.plan, rows);
    let scope = if rows == 1 { Scope::Single } else { Scope::Rows };
    let cx = Cx::step(&f, name, layer, &layout, scope);
    let zero = f.i64(0);
    let tokens = if rows == 1 { Tokens::One(zero) } else { Tokens::All };
    let histories = histories(layer);
    for_histories(&cx, &mut f, &histories, recall);
    // A loop over tokens may look back at what it is itself computing.
    let loops = matches!(layer.plan.kernels.first(), Some(Kernel::Loop(_) | Kernel::Heads { .. }));
    if loops && !histories.is_empty() {
        cx.barrier(&mut f);
    }
    let last_writes = last_writes(layer, &histories);
    let end = layer.plan.kernels.len();
    run::kernels(&cx, &mut f, &layer.plan.kernels, tokens, &mut |cx, f, kernel| {
        let due = last_writes.get(&kernel).map_or(&[][..], Vec::as_slice);
        for_histories(cx, f, due, remember);
        if !due.is_empty() && kernel + 1 == end {
            cx.barrier(f);
        }
    });
    cx.add_parts(module);
    module.add(f);
}

fn add_remember(layer: &Layer<'_>, module: &mut Module) {
    let name = remember_name(layer);
    let mut f = Func::new(&name, &Args::TYPES, None);
    let layout = layout(layer.graph, layer.plan, layer.plan.settings.max_chunk);
    let cx = Cx::step(&f, &name, layer, &layout, Scope::Rows);
    attend::remember(&cx, &mut f);
    cx.add_parts(module);
    module.add(f);
}

/// The buffers that keep rows of earlier tokens, and the state entry of each.
fn histories(layer: &Layer<'_>) -> Vec<History> {
    let found = slots::sources(layer)
        .into_iter()
        .enumerate()
        .filter_map(|(entry, s)| match s {
            Source::History(buffer) => Some(History { buffer, entry }),
            Source::State(_) | Source::Cache(..) | Source::Filter(..) => None,
        });
    found.collect()
}

/// By kernel, the histories that do not change any more after it.
fn last_writes(layer: &Layer<'_>, histories: &[History]) -> HashMap<usize, Vec<History>> {
    let kernels = &layer.plan.kernels;
    let mut last: HashMap<BufferId, usize> = HashMap::new();
    for (n, kernel) in kernels.iter().enumerate() {
        last.extend(layer.plan.writes(kernel).into_iter().map(|id| (id, n)));
    }
    let mut found: HashMap<usize, Vec<History>> = HashMap::new();
    for history in histories {
        let kernel = last
            .get(&history.buffer)
            .copied()
            .unwrap_or(kernels.len().saturating_sub(1));
        found.entry(kernel).or_default().push(*history);
    }
    found
}

/// Copies the rows that some buffers keep, in or out, for each segment; threads share the buffers.
fn for_histories(cx: &Cx<'_>, f: &mut Func, histories: &[History], copy: fn(&Cx<'_>, &mut Func, History)) {
    if histories.is_empty() {
        return;
    }
    cx.for_segments(f, false, |cx, f| {
        cx.in_parts(f, histories, &[], &mut |cx, f, part, _| {
            for (n, history) in part.iter().enumerate() {
                f.on_member(cx.args.team(), n, |f| copy(cx, f, *history));
            }
        });
    });
}

/// The state entry of a history, the first of the rows in front of the segment's, and 32-bit words of one row and of all kept
/// rows.
fn history(cx: &Cx<'_>, f: &mut Func, history: History) -> (Val, Val, usize, Val) {
    let (id, n) = (history.buffer, history.entry);
    let b = cx.plan().buffer(id);
    let words = b.len * b.entry_bytes() / 4;
    let all = f.i64((words * b.history) as i64);
    let start = cx.delayed_row(f, id, cx.args.first, b.history);
    (cx.state_base(f, n), start, words, all)
}

/// Puts the kept rows in front of the chunk's.
fn recall(cx: &Cx<'_>, f: &mut Func, kept: History) {
    let (state, buffer, _, all) = history(cx, f, kept);
    f.call(kernels::COPY, &[state, buffer, all], None);
}

/// Keeps the last rows.
fn remember(cx: &Cx<'_>, f: &mut Func, kept: History) {
    let (state, buffer, words, all) = history(cx, f, kept);
    let words = f.i64(words as i64);
    let skip = f.mul(cx.args.count, words);
    let from = f.gep(buffer, skip, Scalar::F32);
    f.call(kernels::COPY, &[from, state, all], None);
}

impl Cx<'_> {
    /// This thread's scratch.
    pub(super) fn thread_scratch(&self, f: &mut Func) -> Val {
        let bytes = f.i64(scratch_bytes(self.layer) as i64);
        let at = f.mul(self.args.tid, bytes);
        f.gep(self.args.scratch, at, Scalar::I8)
    }
}
