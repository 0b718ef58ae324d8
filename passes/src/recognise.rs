//! Recognises matrix-vector products with parameters, and delays, in what index notation and `prev` were elaborated to.
//! Does not change contractions of two streams: those stay reductions.

use crate::rules;
use seqc_ir::{Graph, Op, Value, verify::MAX_DELAY};
use std::collections::HashMap;

/// Applies the rules for products with parameters.
pub fn matrix_products(graph: &mut Graph) {
    rules::rewrite(graph, rules::PRODUCTS);
}

/// `prev(x)` of a stream that does not depend on it is a delay; a delay of a delay is one longer delay.
pub fn delays(graph: &mut Graph) {
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
