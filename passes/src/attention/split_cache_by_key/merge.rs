//! Joins parts of an attention by the logarithms of their sums.

use seqc_ir::{BinaryOp, Graph, IndexExpr, Ty, UNSEEN, UnaryOp, Value, dims};

/// Some keys' share of an attention.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The weighted mean `[H, F]` of their values.
    pub(super) mean: Value,
    /// The logarithm `[H]` of the sum of their exponentials.
    pub(super) log: Value,
}

/// A part that has keys only for some heads.
#[derive(Clone, Copy)]
pub(super) struct Partial {
    /// The heads that have some, a truth value for each.
    pub(super) seen: Value,
    /// What these have.
    pub(super) part: Part,
}

/// The two results of an attention with the logarithm of its sum.
pub(super) fn part(graph: &mut Graph, attention: Value) -> Part {
    let sizes = graph.ty(attention).sizes();
    let (heads, f) = (sizes[0], sizes[1] - 1);
    let mean = graph.slice(attention, 1, 0, f);
    let column = vec![IndexExpr::Axis(0), IndexExpr::Const(f as i64)];
    Part {
        mean,
        log: graph.view(attention, dims(&[heads]), column),
    }
}

/// Values `[G, F]` of the token for each query head of an attention with the logarithm of its sum.
pub(super) fn own_values(graph: &mut Graph, v: Value, attention: Value) -> Value {
    let (heads, of_values) = (graph.ty(attention).dims[0].size, graph.ty(v).sizes());
    let group = IndexExpr::Div(Box::new(IndexExpr::Axis(0)), (heads / of_values[0]) as i64);
    graph.view(v, dims(&[heads, of_values[1]]), vec![group, IndexExpr::Axis(1)])
}

/// The attention over the keys of both parts. The result has a logarithm where `log_sum` says so.
pub(super) fn join(graph: &mut Graph, all: Part, some: Partial, log_sum: bool) -> Value {
    let Part { mean: out, log } = all;
    let Partial { seen, part } = some;
    let (score, values) = (part.log, part.mean);
    let whole = graph.ty(out).sizes();
    let heads = whole[0];
    let unseen = graph.constant(UNSEEN, Ty::f32(&[heads]));
    let zero = graph.constant(0.0, Ty::f32(&[heads]));
    // A score of minus infinity is the same as a key that is not seen.
    let nothing = graph.constant(f64::NEG_INFINITY, Ty::f32(&[heads]));
    let there = graph.binary(BinaryOp::Ne, score, nothing);
    let seen = graph.binary(BinaryOp::And, seen, there);
    let score = graph.select(seen, score, unseen);
    let top = graph.binary(BinaryOp::Max, log, score);
    let weight = |graph: &mut Graph, log| {
        let log = graph.binary(BinaryOp::Sub, log, top);
        graph.unary(UnaryOp::Exp, log)
    };
    let (of_out, of_values) = (weight(graph, log), weight(graph, score));
    // Where neither has anything both logarithms are the same.
    let of_values = graph.select(seen, of_values, zero);
    let total = graph.sum_of(of_out, of_values);
    let share = |graph: &mut Graph, weight, values| {
        let share = graph.binary(BinaryOp::Div, weight, total);
        let share = graph.broadcast(share, dims(&whole), &[0]);
        graph.product_of(share, values)
    };
    let (a, b) = (share(graph, of_out, out), share(graph, of_values, values));
    // Values that are not seen may be no numbers, which a weight of zero does not change.
    let none = graph.constant(0.0, Ty::f32(&whole));
    let seen = graph.broadcast(seen, dims(&whole), &[0]);
    let b = graph.select(seen, b, none);
    let out = graph.sum_of(a, b);
    if !log_sum {
        return out;
    }
    let log = graph.unary(UnaryOp::Log, total);
    let log = graph.sum_of(top, log);
    let log = graph.reshape(log, dims(&[heads, 1]));
    graph.concat(1, &[out, log])
}
