//! Recognises matrix-vector products with parameters, and delays, in what index notation and `prev` were elaborated to.
//! Does not change contractions of two streams: those stay reductions.

use crate::{recurrence::recurrences, rules};
use seqc_ir::{Graph, Op, StateId, Value, verify::MAX_DELAY};
use std::collections::{HashMap, HashSet};

/// Applies the rules for products with parameters.
pub fn matrix_products(graph: &mut Graph) {
    rules::rewrite(graph, rules::PRODUCTS);
}

/// `prev(x)` of a stream that does not depend on it is a delay; a delay of a delay is one longer delay.
pub fn delays(graph: &mut Graph) {
    if graph.reads_later() {
        separate_recurrences(graph);
    }
    let cycles = graph.cycles();
    let free = |graph: &Graph, v: Value| {
        if let Op::Delay { steps } = *graph.op(v) {
            return Some((graph.operands(v)[0], steps));
        }
        let Op::Prev(s) = *graph.op(v) else { return None };
        let next = graph.states[s.0 as usize].next.map(|next| (next, 1));
        next.filter(|_| cycles.states[s.0 as usize].is_none())
    };
    let mut origins: HashMap<Value, (Value, usize)> = HashMap::new();
    for v in graph.values() {
        let (mut chain, mut at) = (Vec::new(), v);
        while !origins.contains_key(&at)
            && let Some((before, steps)) = free(graph, at)
        {
            chain.push((at, steps));
            at = before;
        }
        let (mut source, mut total) = origins.get(&at).copied().unwrap_or((at, 0));
        for (delayed, steps) in chain.into_iter().rev() {
            if total + steps > MAX_DELAY {
                (source, total) = (at, 0);
            }
            total += steps;
            at = delayed;
            origins.insert(delayed, (source, total));
        }
    }
    for v in graph.values() {
        let Some((source, steps)) = origins.get(&v).copied() else {
            continue;
        };
        let ty = graph.ty(v).clone();
        let new = graph.add(Op::Delay { steps }, ty, &[source]);
        graph.replace(v, new);
    }
}

/// What reads the previous value of a recurrence and is no part of it reads a delay instead, where no scan fits the recurrence. A
/// loop over tokens then computes what depends on itself alone, and nothing that reads later tokens comes between.
fn separate_recurrences(graph: &mut Graph) {
    let cycles = graph.cycles();
    let scanned: HashSet<StateId> = recurrences(graph)
        .into_iter()
        .filter(|recurrence| recurrence.elementwise)
        .flat_map(|recurrence| recurrence.states)
        .collect();
    let of_cycle = |v: Value| cycles.values.get(v.0 as usize).copied().flatten();
    for v in graph.values() {
        let Op::Prev(s) = *graph.op(v) else { continue };
        if scanned.contains(&s) {
            continue;
        }
        let Some(next) = graph.states[s.0 as usize].next else {
            continue;
        };
        let Some(cycle) = cycles.states[s.0 as usize] else {
            continue;
        };
        let mut delayed = None;
        for user in graph.users(v) {
            if of_cycle(user) == Some(cycle) {
                continue;
            }
            let before = *delayed.get_or_insert_with(|| graph.delay(next, 1));
            for (slot, operand) in graph.operands(user).into_iter().enumerate() {
                if operand == v {
                    graph.set_operand(user, slot, before);
                }
            }
        }
        if graph.outputs.iter().any(|(_, output)| *output == v) {
            let before = delayed.unwrap_or_else(|| graph.delay(next, 1));
            graph
                .outputs
                .iter_mut()
                .filter(|(_, output)| *output == v)
                .for_each(|(_, output)| *output = before);
        }
    }
}
