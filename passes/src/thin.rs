//! Keeps in a cache only keys that some later query can see, where the predicate says so of the key alone.
//!
//! `where i == j || j % 8 == 7`: but for its own, a query sees keys with `j % 8 == 7` only. The attention gets the slower
//! clock `j % 8 == 7`, and the query's own key, where the clock leaves it out, is joined by the logarithms of the sums,
//! which is exact. The condition may depend on data that the key brings along.
//!
//! Only causal softmax over all tokens whose cache grows without bound: where the predicate bounds the distance, positions
//! bound the cache better than a condition does. Tables are left alone.

mod ops;
mod pairs;

use crate::keep::Keep;
use ops::Own;
use pairs::{Says, Truth, given, has_table, own, says};
use seqc_ir::{
    AttendSpec, BinaryOp, Clock, Elem, Graph, IndexExpr, Normaliser, Op, ScoreExpr, Stage, Ty, UNSEEN, UnaryOp, Value,
    dims,
};

/// Rewrites all attentions that it applies to.
pub fn caches(graph: &mut Graph) {
    let stages = graph.stages();
    for v in graph.order() {
        let Op::Attend(spec) = graph.op(v).clone() else {
            continue;
        };
        let operands = graph.operands(v);
        let heads = graph.ty(v).dims[0].size;
        let fixed: Vec<bool> = operands[spec.query_operands()]
            .iter()
            .map(|o| stages[o.0 as usize] == Stage::Load && graph.ty(*o).rank() == 0)
            .collect();
        let scalar: Vec<bool> = operands[spec.key_operands()]
            .iter()
            .map(|o| graph.ty(*o).rank() == 0)
            .collect();
        if let Some(thinned) = Thinned::new(&spec, heads, (&fixed, &scalar)) {
            let name = graph.node(v).name.clone();
            let new = thinned.build(graph, &spec, &operands, name);
            graph.replace(v, new);
        }
    }
}

/// What becomes of an attention.
struct Thinned {
    /// Which keys are kept, an expression of the key alone.
    keep: ScoreExpr,
    /// Which of them a query sees.
    predicate: Option<ScoreExpr>,
    /// Where a query sees its own key although it is not kept.
    own: Option<Truth>,
}

impl Thinned {
    /// `None` where the pass does not apply. `fixed`: query streams that are the same for all tokens; `scalar`: key streams
    /// that are the same for all heads.
    fn new(spec: &AttendSpec, heads: usize, (fixed, scalar): (&[bool], &[bool])) -> Option<Thinned> {
        let predicate = spec.predicate.as_ref()?;
        let plain = spec.normaliser == Normaliser::Softmax && spec.causal && spec.clock == Clock::Every;
        let tables = has_table(predicate) || spec.score.as_ref().is_some_and(has_table);
        if !plain || tables || Keep::new(spec, heads).distance.is_some() {
            return None;
        }
        let of_key = |expr: &ScoreExpr| pairs::of_key(expr, fixed, scalar);
        let Says::Key(keep) = says(predicate, true, &|e| Keep::of_predicate(e, heads), &of_key) else {
            return None;
        };
        let rest = match given(predicate, &keep) {
            Truth::Known(true) => None,
            Truth::Known(false) => return None,
            Truth::Expr(expr) => Some(expr),
        };
        // The same of all keys up to the query's own: then that is kept where it is seen.
        let always = says(predicate, true, &|_| Keep::ALL, &of_key) == Says::Key(keep.clone());
        let own = (!always)
            .then(|| own(predicate))
            .filter(|own| *own != Truth::Known(false));
        Some(Thinned {
            keep,
            predicate: rest,
            own,
        })
    }

    fn build(&self, graph: &mut Graph, spec: &AttendSpec, operands: &[Value], name: String) -> Value {
        let mut of_token = Own::new(graph, spec, operands);
        let on = of_token.truth(graph, &self.keep);
        let cached = self.cached(graph, spec, operands, on);
        graph.set_name(cached, name);
        match &self.own {
            None => cached,
            Some(own) => {
                let score = of_token.score(graph);
                let kept = of_token.wide(graph, on);
                let mut seen = graph.unary(UnaryOp::Not, kept);
                if let Truth::Expr(own) = own {
                    let own = of_token.truth(graph, own);
                    let own = of_token.wide(graph, own);
                    seen = graph.binary(BinaryOp::And, seen, own);
                }
                merge(graph, (cached, spec.log_sum), (seen, score, operands[2]))
            }
        }
    }

    /// The attention over the keys that are kept. Positions are streams from now on: those of a clock are others.
    fn cached(&self, graph: &mut Graph, spec: &AttendSpec, operands: &[Value], on: Value) -> Value {
        let mut query = operands[spec.query_operands()].to_vec();
        let mut key = operands[spec.key_operands()].to_vec();
        let exprs = [&self.predicate, &spec.score];
        let uses = |leaf| {
            exprs
                .iter()
                .any(|e| e.as_ref().is_some_and(|e| pairs::contains(e, &leaf)))
        };
        let (of_query, of_key) = (query.len(), key.len());
        if uses(ScoreExpr::QueryPos) {
            query.push(graph.position());
        }
        if uses(ScoreExpr::KeyPos) {
            key.push(graph.position());
        }
        let moved = |expr: &Option<ScoreExpr>| {
            let leaf = |leaf: &ScoreExpr| match leaf {
                ScoreExpr::QueryPos => ScoreExpr::QueryStream(of_query),
                ScoreExpr::KeyPos => ScoreExpr::KeyStream(of_key),
                other => other.clone(),
            };
            expr.as_ref().map(|expr| pairs::with_leaves(expr, &leaf))
        };
        let new = AttendSpec {
            predicate: moved(&self.predicate),
            score: moved(&spec.score),
            clock: Clock::Keys,
            log_sum: spec.log_sum || self.own.is_some(),
            query_streams: query.len(),
            key_streams: key.len(),
            ..spec.clone()
        };
        let list = [&operands[..3], &[on], &query, &key].concat();
        graph.attend(new, &list)
    }
}

/// Joins the query's own key, with `score [H]` where it is `seen [H]`, to an attention with the logarithm of its sum. The
/// result has such a logarithm where `log_sum` says so.
fn merge(graph: &mut Graph, (cached, log_sum): (Value, bool), (seen, score, v): (Value, Value, Value)) -> Value {
    let sizes = graph.ty(cached).sizes();
    let (heads, f) = (sizes[0], sizes[1] - 1);
    let groups = graph.ty(v).dims[0].size;
    let (row, whole) = (dims(&[heads]), dims(&[heads, f]));
    let out = graph.slice(cached, 1, 0, f);
    let column = vec![IndexExpr::Axis(0), IndexExpr::Const(f as i64)];
    let log = graph.view(cached, row.clone(), column);
    let unseen = graph.constant(UNSEEN, Ty::f32(&[heads]));
    let zero = graph.constant(0.0, Ty::f32(&[heads]));
    let score = graph.select(seen, score, unseen);
    let top = graph.binary(BinaryOp::Max, log, score);
    let weight = |graph: &mut Graph, log| {
        let log = graph.binary(BinaryOp::Sub, log, top);
        graph.unary(UnaryOp::Exp, log)
    };
    let (of_cached, of_own) = (weight(graph, log), weight(graph, score));
    let of_own = graph.select(seen, of_own, zero);
    let total = graph.sum_of(of_cached, of_own);
    let share = |graph: &mut Graph, weight, values| {
        let share = graph.binary(BinaryOp::Div, weight, total);
        let share = graph.broadcast(share, whole.clone(), &[0]);
        graph.product_of(share, values)
    };
    let group = IndexExpr::Div(Box::new(IndexExpr::Axis(0)), (heads / groups) as i64);
    let own = graph.view(v, whole.clone(), vec![group, IndexExpr::Axis(1)]);
    let (a, b) = (share(graph, of_cached, out), share(graph, of_own, own));
    let out = graph.sum_of(a, b);
    if !log_sum {
        return out;
    }
    let log = graph.unary(UnaryOp::Log, total);
    let log = graph.sum_of(top, log);
    let log = graph.reshape(log, dims(&[heads, 1]));
    graph.concat(1, &[out, log])
}

#[cfg(test)]
mod tests;
