//! Leaves out what no result needs: nodes, parameters and states.

use seqc_ir::{Graph, Op, Source, StateId, Value};
use std::collections::{HashMap, HashSet};

/// Where a parameter is declared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared {
    /// Number of the block or layer; `usize::MAX` in functions.
    pub(super) part: usize,
    /// Where its declaration begins in the text.
    pub(super) start: u32,
    /// Number among the graph's parameters.
    pub(super) param: usize,
}

/// A copy of the graph with only what its results need, and these of its inputs, which are all that it reads.
pub(super) fn compact(graph: &Graph, order: &[Declared], kept: &[usize]) -> Graph {
    let live = graph.live_order();
    let mut out = Graph::new(graph.name.clone());
    let mut map: HashMap<Value, Value> = HashMap::new();
    let used: HashSet<usize> = live
        .iter()
        .filter_map(|v| match graph.op(*v).source() {
            Some(Source::Param(n)) => Some(n),
            Some(Source::Input(_) | Source::State(_)) | None => None,
        })
        .collect();
    // The layer's own parameters first, then those of its blocks.
    let mut order = order.to_vec();
    order.sort_unstable_by_key(|d| (std::cmp::Reverse(d.part), d.start, d.param));
    let mut params = HashMap::new();
    for n in order.into_iter().map(|d| d.param).filter(|n| used.contains(n)) {
        let port = &graph.params[n];
        params.insert(n, out.add_param(port.name.clone(), port.ty.clone()));
    }
    let inputs: HashMap<usize, Value> = kept
        .iter()
        .map(|n| (*n, &graph.inputs[*n]))
        .map(|(n, port)| (n, out.add_input(port.name.clone(), port.ty.clone())))
        .collect();
    let mut states: HashMap<StateId, StateId> = HashMap::new();
    for v in &live {
        let operands: Vec<Value> = graph.operands(*v).iter().map(|o| map[o]).collect();
        let node = graph.node(*v);
        let new = match node.op.source() {
            Some(Source::Param(n)) => params[&n],
            Some(Source::Input(n)) => inputs[&n],
            Some(Source::State(s)) => {
                let state = &graph.states[s.0 as usize];
                let id = *states
                    .entry(s)
                    .or_insert_with(|| out.add_state(state.name.clone(), state.ty.clone()));
                out.add(Op::Prev(id), node.ty.clone(), &operands)
            }
            None => out.add(node.op.clone(), node.ty.clone(), &operands),
        };
        if !node.name.is_empty() && !matches!(node.op, Op::Param(_) | Op::Input(_)) {
            out.set_name(new, node.name.clone());
        }
        map.insert(*v, new);
    }
    for (old, new) in states {
        if let Some(next) = graph.states[old.0 as usize].next {
            out.set_next(new, map[&next]);
        }
    }
    for (name, v) in &graph.outputs {
        out.add_output(name.clone(), map[v]);
    }
    out
}
