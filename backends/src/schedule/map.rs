//! Loops over entries: over which axes they run, and how those of a single token are shared between threads.

use seqc_ir::{Graph, Value};
use seqc_passes::{machine::Machine, plan::Nest};

/// Sizes of the loops over a value's entries: its axes, or one loop over all where the innermost axis is shorter than a vector.
pub(crate) fn loops(machine: &Machine, sizes: &[usize]) -> Vec<usize> {
    match sizes {
        [.., last] if sizes.len() > 1 && *last < machine.lanes as usize => vec![sizes.iter().product()],
        _ => sizes.to_vec(),
    }
}

/// Who computes the nests of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// All: each has a part of the outermost loop.
    All,
    /// The first one alone.
    First,
}

/// Nests that run between two barriers.
pub(crate) struct Wave<'n> {
    /// In order; of those that are shared one.
    pub(crate) nests: &'n [Nest],
    /// Who computes them.
    pub(crate) threads: Threads,
}

/// The nests of one token in waves: what is much work is shared, what is little is done by one thread. `whole` holds for nests
/// that are not split whatever their work is.
pub(crate) fn waves<'n>(
    graph: &Graph,
    machine: &Machine,
    nests: &'n [Nest],
    whole: &dyn Fn(&Nest) -> bool,
) -> Vec<Wave<'n>> {
    // A scalar has no entries to share, however much is added up for it.
    let entries = |n: &Nest| graph.ty(n.value).rank() > 0;
    let shared = |n: &Nest| entries(n) && work(graph, n.value) > machine.rates.shared_nest && !whole(n);
    let mut waves = Vec::new();
    let mut left = nests;
    while let Some(first) = left.first() {
        // Shared nests may read what the one before has written.
        let (threads, count) = match shared(first) {
            true => (Threads::All, 1),
            false => (Threads::First, left.iter().take_while(|n| !shared(n)).count()),
        };
        let (nests, rest) = left.split_at(count);
        waves.push(Wave { nests, threads });
        left = rest;
    }
    waves
}

/// Work of one nest at one token, in additions.
fn work(graph: &Graph, v: Value) -> usize {
    graph.ty(v).len() * graph.reduced(v).max(1) * 4
}
