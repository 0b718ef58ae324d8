//! Recurrences that run in parallel over heads: each head is computed for all tokens by one thread.
//! Also which states can be updated in place.

use super::{
    buffer_assignment::touched,
    held::held,
    inline::{Leaf, Walk},
    types::{BufferId, Extent, Kernel, Nest, Plan},
};
use crate::affine::AffineExpr;
use seqc_ir::{Graph, Op, StateId, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A loop over tokens as one over heads.
pub(super) struct Heads {
    /// How many: one where it does not fall apart.
    pub(super) count: usize,
    /// The nests of the loop's body, in order.
    pub(super) nests: Vec<Nest>,
    /// Every value has the heads as its first axis, and reads what the loop computes at its own head only.
    pub(super) apart: bool,
    /// There is little to do: one thread is as fast as all of them.
    pub(super) little: bool,
}

/// The heads of a loop that only computes nests.
pub(super) fn by_heads(graph: &Graph, plan: &Plan, body: &[Kernel], states: &[StateId]) -> Option<Heads> {
    let mut nests = Vec::new();
    for kernel in body {
        match kernel {
            Kernel::Map(list) => nests.extend(list.iter().cloned()),
            _ => return None,
        }
    }
    let written: HashSet<BufferId> = nests.iter().map(|nest| nest.into).collect();
    let heads = graph.ty(nests.first()?.value).dims.first().map_or(1, |d| d.size);
    let leads = |v: Value| graph.ty(v).dims.first().is_some_and(|d| d.size == heads);
    let apart = |nest: &Nest| {
        let of_state = |v: Value| matches!(graph.op(v), Op::Prev(s) if states.contains(s));
        let inside = |leaf: &Leaf| {
            let stored = plan.stored.get(&leaf.value);
            stored.map_or_else(|| of_state(leaf.value), |b| written.contains(b))
        };
        let own_head = |leaf: &Leaf| leaf.coords.first() == Some(&AffineExpr::axis(0)) && leads(leaf.value);
        leads(nest.value)
            && nest.shift.is_none_or(|(axis, _)| axis > 0)
            && !matches!(graph.op(nest.value), Op::Gather)
            && reads_of_nest(graph, plan, nest)
                .iter()
                .all(|leaf| !inside(leaf) || own_head(leaf))
    };
    let whole = states.iter().all(|s| {
        graph.states[s.0 as usize]
            .ty
            .dims
            .first()
            .is_some_and(|d| d.size == heads)
    });
    let apart = whole && nests.iter().all(apart);
    let entries: usize = nests.iter().map(|nest| entries(graph, nest)).sum();
    let little = entries <= plan.settings.machine.rates.shared_heads;
    Some(Heads {
        count: if apart { heads } else { 1 },
        nests,
        apart,
        little,
    })
}

/// Entries that a nest computes or adds up.
fn entries(graph: &Graph, nest: &Nest) -> usize {
    graph.ty(nest.value).len() * graph.reduced(nest.value)
}

/// Reads of a nest: of its root, where that is stored elsewhere, else of its expression.
pub(super) fn reads_of_nest(graph: &Graph, plan: &Plan, nest: &Nest) -> Vec<Leaf> {
    let elsewhere = plan.stored.get(&nest.value).is_some_and(|b| *b != nest.into);
    if elsewhere {
        let axes = graph.ty(nest.value).sizes();
        let coords = (0..axes.len()).map(AffineExpr::axis).collect();
        return vec![Leaf {
            value: nest.value,
            coords,
            axes,
            delay: 0,
            table: false,
        }];
    }
    let stop = |v: Value| plan.is_stored(v);
    (Walk { graph, stop: &stop }).leaves(nest.value)
}

/// States whose next value can be written over the previous one: nothing reads the previous value afterwards, and the
/// nest that computes the next one reads it entry by entry. With the buffers of those values, and of what these read in the place of the
/// previous one, if that is the previous one at most tokens ([`held`]).
pub(super) fn in_place(graph: &Graph, plan: &Plan, kernel: &Kernel) -> Vec<(StateId, BufferId)> {
    let (nests, states) = match kernel {
        Kernel::Heads { nests, states, .. } => (nests.clone(), states.clone()),
        Kernel::Loop(body) => (in_order(body), committed(body)),
        _ => return Vec::new(),
    };
    // For each state, which nests read its previous value, and where.
    let mut readers: HashMap<StateId, Vec<(usize, Leaf)>> = HashMap::new();
    let mut writers: HashMap<BufferId, usize> = HashMap::new();
    for (n, nest) in nests.iter().enumerate() {
        for leaf in reads_of_nest(graph, plan, nest) {
            if let (Op::Prev(s), false) = (graph.op(leaf.value), plan.is_stored(leaf.value)) {
                readers.entry(*s).or_default().push((n, leaf));
            }
        }
        if plan.stored.get(&nest.value) == Some(&nest.into) {
            writers.entry(nest.into).or_insert(n);
        }
    }
    let fits = |s: StateId| {
        let next = graph.states[s.0 as usize].next?;
        let id = *plan.stored.get(&next)?;
        let at = *writers.get(&id)?;
        let own = identity(graph, next);
        let before = |(n, leaf): &(usize, Leaf)| *n < at || *n == at && leaf.coords == own;
        let fits = readers.get(&s).is_none_or(|reads| reads.iter().all(before));
        let single = plan.buffer(id).extent == Extent::Single;
        (fits && single).then_some((s, id))
    };
    let placed: Vec<(StateId, BufferId)> = states.into_iter().filter_map(fits).collect();
    if matches!(kernel, Kernel::Heads { chunked: Some(_), .. }) {
        return placed;
    }
    // What is read as a whole row, while others compute with it, stays where it is.
    let whole = read_by_rows(graph, plan, kernel);
    let begun = |(s, next): &(StateId, BufferId)| {
        let [(n, _)] = readers.get(s)?[..] else {
            return None;
        };
        let (nest, at) = (&nests[n], *writers.get(next)?);
        let alike = plan.buffer(nest.into).strides == plan.buffer(*next).strides;
        let single = plan.buffer(nest.into).extent == Extent::Single && !whole.contains(&nest.into);
        let holds = nest.into != *next && held(graph, nest.value).is_some_and(|held| held.state == *s);
        let before = nests.iter().enumerate().skip(at).all(|(m, later)| {
            let own = |leaf: &Leaf| m == at && leaf.coords == identity(graph, nest.value);
            let reads = reads_of_nest(graph, plan, later);
            let mut reads = reads.iter().filter(|leaf| leaf.value == nest.value);
            reads.all(own)
        });
        (alike && single && holds && before && n < at).then_some((*s, nest.into))
    };
    let begun: Vec<(StateId, BufferId)> = placed.iter().filter_map(begun).collect();
    [placed, begun].concat()
}

/// Buffers that other kernels than maps touch.
fn read_by_rows(graph: &Graph, plan: &Plan, kernel: &Kernel) -> BTreeSet<BufferId> {
    match kernel {
        Kernel::Loop(body) => body
            .iter()
            .flat_map(|kernel| read_by_rows(graph, plan, kernel))
            .collect(),
        Kernel::Map(_) | Kernel::Heads { .. } => BTreeSet::new(),
        _ => touched(graph, plan, kernel),
    }
}

/// The index of an entry, read at its own.
fn identity(graph: &Graph, v: Value) -> Vec<AffineExpr> {
    (0..graph.ty(v).rank()).map(AffineExpr::axis).collect()
}

/// All nests of a body; those of scans and products read no state of the loop.
fn in_order(body: &[Kernel]) -> Vec<Nest> {
    let nests = body.iter().flat_map(|kernel| match kernel {
        Kernel::Map(nests) => nests.clone(),
        Kernel::Matmuls(products) => products.iter().flat_map(|m| m.epilogue.clone()).collect(),
        Kernel::Scan(scan) => scan.outputs.clone(),
        Kernel::Loop(inner) => in_order(inner),
        Kernel::Heads { nests, .. } => nests.clone(),
        Kernel::Attend(_) | Kernel::LongConv(_) | Kernel::Reverse(_) | Kernel::RoundRow(_) | Kernel::Commit(_) => {
            Vec::new()
        }
    });
    nests.collect()
}

fn committed(body: &[Kernel]) -> Vec<StateId> {
    let states = body.iter().flat_map(|kernel| match kernel {
        Kernel::Commit(states) => states.clone(),
        _ => Vec::new(),
    });
    states.collect()
}
