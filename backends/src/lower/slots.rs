//! What a layer carries from chunk to chunk: the entries of its state manifest, in the order of its table.

use super::cx::Layer;
use crate::kernels::{Attend, Governed, Needs};
use seqc_abi::{Choices, Evictions, StateKind, StateOf, StateSlot};
use seqc_formats::Encoding;
use seqc_ir::{Clock, StateId, Value};
use seqc_passes::{
    attention::policy_entries::PolicyEntries,
    kept::Kept,
    plan::{BufferId, Kernel, Scan},
};

/// Where one entry comes from.
pub(super) enum Source {
    /// A recurrence.
    State(StateId),
    /// Rows of earlier tokens.
    History(BufferId),
    /// Entry `n` of an attention's cache, see [`Attend::states`].
    Cache(Value, usize),
    /// Entry `n` of a long convolution, see [`crate::kernels::LongConv::states`].
    Filter(Value, usize),
}

/// All entries of a layer.
pub(super) fn sources(layer: &Layer<'_>) -> Vec<Source> {
    let states = (0..layer.graph.states.len() as u32).map(|s| Source::State(StateId(s)));
    let buffers = layer.plan.buffers.iter().enumerate();
    let histories = buffers
        .filter(|(_, b)| b.history > 0)
        .map(|(i, _)| Source::History(BufferId(i)));
    let mut all: Vec<Source> = states.chain(histories).collect();
    for (v, kernel) in &layer.schedule.attentions {
        all.extend((0..kernel.states().len()).map(|n| Source::Cache(*v, n)));
    }
    for (v, kernel) in &layer.schedule.filters {
        all.extend((0..kernel.states().len()).map(|n| Source::Filter(*v, n)));
    }
    all
}

/// Index of an entry in the layer's table.
pub(super) fn index_of(layer: &Layer<'_>, test: impl Fn(&Source) -> bool) -> usize {
    match sources(layer).iter().position(test) {
        Some(n) => n,
        None => unreachable!("every state of a plan has an entry"),
    }
}

/// The recurrences that a long chunk computes as matrix products; those inside loops never see a chunk.
pub(super) fn chunked(kernels: &[Kernel]) -> Vec<Scan> {
    let found = kernels.iter().filter_map(|kernel| match kernel {
        Kernel::Scan(scan) if scan.products().is_some() => Some(scan.clone()),
        Kernel::Heads { chunked, .. } => chunked.clone(),
        _ => None,
    });
    found.collect()
}

/// The manifest of one instance of a layer, whose entries are numbered from `first` on, and what each entry takes.
pub(super) fn manifest(layer: &Layer<'_>, instance: &str, first: usize) -> Vec<(StateSlot, Kept)> {
    let entry = |(n, source): (usize, &Source)| {
        let (name, shape, mut kind, kept) = describe(layer, source);
        if let (StateKind::Pages { count, dropped, .. }, Source::Cache(_, part)) = (&mut kind, source) {
            for word in [count, dropped].into_iter().flatten() {
                word.entry += first + n - part;
            }
        }
        let slot = StateSlot {
            name,
            layer: instance.to_owned(),
            shape,
            encoding: encoding(layer, source),
            kind,
            of: match source {
                Source::Cache(v, _) if layer.schedule.attention(*v).spec.clock == Clock::Memory => StateOf::Memory,
                _ => StateOf::Tokens,
            },
            bound: match source {
                // Rows of earlier tokens are there from the beginning, as zeros.
                Source::History(id) => format!("{} tokens", layer.plan.buffer(*id).history),
                _ => kept.bound(),
            },
        };
        (slot, kept)
    };
    sources(layer).iter().enumerate().map(entry).collect()
}

fn describe(layer: &Layer<'_>, source: &Source) -> (String, Vec<usize>, StateKind, Kept) {
    let fixed = |bytes| (StateKind::Fixed { bytes }, Kept::Bytes(bytes));
    match source {
        Source::State(s) => {
            let state = &layer.graph.states[s.0 as usize];
            let (kind, kept) = fixed(state.ty.len() * 4);
            (state.name.clone(), state.ty.sizes(), kind, kept)
        }
        Source::History(id) => {
            let b = layer.plan.buffer(*id);
            let name = name_of(layer, b.value, id.0);
            let mut shape = layer.graph.ty(b.value).sizes();
            shape.insert(0, b.history);
            let (kind, kept) = fixed(b.history * b.len * b.entry_bytes());
            (format!("{name}.history"), shape, kind, kept)
        }
        Source::Filter(v, n) => {
            let kernel = layer.schedule.filter(*v);
            // Named after what is filtered, if the result has no name.
            let stream = layer.graph.operands(*v)[0];
            let named = if layer.graph.node(*v).name.is_empty() {
                stream
            } else {
                *v
            };
            let name = name_of(layer, named, v.0 as usize);
            let (part, shape) = match n {
                0 => ("past", vec![kernel.channels]),
                1 => ("sums", vec![kernel.channels]),
                2 => ("spectra", vec![kernel.channels, 2]),
                _ => ("spoiled", vec![kernel.channels]),
            };
            let kept = kernel.blocks.kept(kernel.channels)[*n].clone();
            (format!("{name}.{part}"), shape, kernel.states()[*n].clone(), kept)
        }
        Source::Cache(v, n) => {
            let kernel = layer.schedule.attention(*v);
            let name = name_of(layer, *v, v.0 as usize);
            let known = &layer.plan.attentions[v];
            if let (Some(governed), Some(entries)) = (kernel.governed(), &known.policy) {
                return describe_governed(&governed, entries, &name, *n);
            }
            let (part, shape) = part(kernel, *n);
            let kind = kernel.states()[*n].clone();
            let kept = match kind {
                StateKind::Fixed { bytes } => Kept::Bytes(bytes),
                _ if kernel.spec.clock == Clock::Memory => Kept::Rows {
                    bytes: encoding(layer, source).block_bytes() * shape.iter().product::<usize>(),
                },
                StateKind::Bounded { .. } | StateKind::Pages { .. } | StateKind::Shared { .. } => Kept::Tokens {
                    bytes: encoding(layer, source).block_bytes() * shape.iter().product::<usize>(),
                    rate: known.rate,
                    span: kernel.span,
                },
            };
            (format!("{name}.{part}"), shape, kind, kept)
        }
    }
}

/// Entry `n` of a cache with a policy.
fn describe_governed(
    governed: &Governed<'_>,
    entries: &PolicyEntries,
    name: &str,
    n: usize,
) -> (String, Vec<usize>, StateKind, Kept) {
    let slot = governed.slots()[n].clone();
    let kept = match slot.needs {
        Needs::Bytes(bytes) => Kept::Bytes(bytes),
        Needs::Beside(bytes) => Kept::Beside(bytes),
        Needs::Each { bytes, share } => Kept::Entries {
            bytes,
            entries: entries.clone(),
            share,
        },
    };
    (format!("{name}.{}", slot.name), slot.shape, slot.kind, kept)
}

/// The caches of an instance of a layer from which entries leave; its state entries are numbered from `first` on.
pub(super) fn evictions(layer: &Layer<'_>, instance: &str, first: usize) -> Vec<Evictions> {
    let caches = layer.schedule.attentions.iter().filter_map(|(v, kernel)| {
        let own = index_of(layer, |s| matches!(s, Source::Cache(w, 0) if w == v));
        let mut evictions = kernel.governed()?.evictions()?;
        evictions.positions += first + own;
        evictions.count.entry += first + own;
        Some(evictions)
    });
    let mut caches: Vec<Evictions> = caches.collect();
    let several = caches.len() > 1;
    for (n, cache) in caches.iter_mut().enumerate() {
        cache.name = report(instance, "kept", n, several);
    }
    caches
}

/// What queries of an instance of a layer choose; its state entries are numbered from `first` on.
pub(super) fn choices(layer: &Layer<'_>, instance: &str, first: usize) -> Vec<Choices> {
    let choices = layer.schedule.attentions.iter().flat_map(|(v, kernel)| {
        let own = first + index_of(layer, |s| matches!(s, Source::Cache(w, 0) if w == v));
        let mut choices = kernel.governed().map_or_else(Vec::new, |governed| governed.choices());
        for choice in &mut choices {
            choice.flags += own;
            choice.blocks.entry += own;
        }
        choices
    });
    let mut choices: Vec<Choices> = choices.collect();
    let several = choices.len() > 1;
    for (n, choice) in choices.iter_mut().enumerate() {
        choice.name = report(instance, "chosen", n, several);
    }
    choices
}

/// Name of a report.
fn report(instance: &str, what: &str, n: usize, several: bool) -> String {
    let number = if several { format!("{n}") } else { String::new() };
    format!("trace.{instance}.{what}{number}")
}

/// How the numbers of an entry are stored.
fn encoding(layer: &Layer<'_>, source: &Source) -> Encoding {
    let Source::Cache(v, n) = source else {
        return Encoding::F32;
    };
    let kernel = layer.schedule.attention(*v);
    if let Some(governed) = kernel.governed() {
        return governed.slots()[*n].encoding;
    }
    if (kernel.keys_entry()..kernel.streams_entry()).contains(n) {
        kernel.spec.stored
    } else {
        Encoding::F32
    }
}

/// Name and shape of entry `n` of an attention's cache.
fn part(kernel: &Attend, n: usize) -> (String, Vec<usize>) {
    let (keys, streams) = (kernel.keys_entry(), kernel.streams_entry());
    if n < keys {
        let counted = if kernel.spec.clock == Clock::Memory {
            "rows"
        } else {
            "ticks"
        };
        (counted.to_owned(), Vec::new())
    } else if n == keys {
        ("k".to_owned(), vec![kernel.groups, kernel.key_dim])
    } else if n < streams {
        ("v".to_owned(), vec![kernel.groups, kernel.value_dim])
    } else {
        let width = Some(kernel.key_widths[n - streams]).filter(|w| *w > 1);
        (format!("key{}", n - streams), width.into_iter().collect())
    }
}

fn name_of(layer: &Layer<'_>, v: Value, n: usize) -> String {
    let name = &layer.graph.node(v).name;
    if name.is_empty() { format!("t{n}") } else { name.clone() }
}
