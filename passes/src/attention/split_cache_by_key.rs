//! Keeps in a cache only keys that some later query can see, where the predicate says so of the key alone.
//!
//! `where i - j < 64 || j % 8 == 7`: from some distance on a query sees keys with `j % 8 == 7` only. The attention gets
//! the slower clock `j % 8 == 7`. The near keys that the clock leaves out are another attention, whose cache their distance
//! bounds, or the query's own key and no attention at all; the parts are joined by the logarithms of their sums, which is
//! exact. The condition may depend on data that the key brings along.
//!
//! Only causal softmax over all tokens whose cache grows without bound: where the predicate bounds the distance, positions
//! bound the cache better than a condition does. Tables are left alone.

mod merge;
mod ops;
mod pairs;

use crate::attention::span::AttentionSpan;
use ops::Own;
use pairs::{Says, Truth, facts, given, has_table, otherwise, own, says};
use seqc_ir::{AttendSpec, BinaryOp, Clock, Graph, Normaliser, Op, PairExpr, Stage, UNSEEN, UnaryOp, Value};

/// Rewrites all attentions that it applies to.
pub fn split_cache_by_key(graph: &mut Graph) {
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
    /// Which keys are kept for good, an expression of the key alone.
    keep: PairExpr,
    /// Which of them a query sees.
    predicate: Option<PairExpr>,
    /// What else it sees.
    near: Near,
}

/// Keys that are seen although they are not kept for good.
enum Near {
    Nothing,
    /// The query's own, where this holds.
    Own(Truth),
    /// Those where this holds; it bounds their distance.
    Window(PairExpr),
}

impl Thinned {
    /// `None` where the pass does not apply. `fixed`: query streams that are the same for all tokens; `scalar`: key streams
    /// that are the same for all heads.
    fn new(spec: &AttendSpec, heads: usize, (fixed, scalar): (&[bool], &[bool])) -> Option<Thinned> {
        let predicate = spec.predicate.as_ref()?;
        let plain = spec.normaliser == Normaliser::Softmax && spec.causal && spec.clock == Clock::Every;
        let tables = has_table(predicate) || spec.score.as_ref().is_some_and(has_table);
        if !plain || tables || AttentionSpan::new(spec, heads).distance.is_some() {
            return None;
        }
        let bounded = |e: &PairExpr| AttentionSpan::of_predicate(e, heads).distance.is_some();
        let of_key = |e: &PairExpr| pairs::of_key(e, fixed, scalar);
        let Says::Key(keep) = says(predicate, true, &bounded, &of_key) else {
            return None;
        };
        let rest = match given(predicate, &facts(&keep, true)) {
            Truth::Known(true) => None,
            Truth::Known(false) => return None,
            Truth::Expr(expr) => Some(expr),
        };
        let near = match otherwise(predicate, &keep) {
            Truth::Known(false) => Near::Nothing,
            Truth::Known(true) => return None,
            Truth::Expr(expr) => match AttentionSpan::of_predicate(&expr, heads) {
                AttentionSpan {
                    distance: Some(..=1),
                    first: 0,
                } => match own(predicate) {
                    Truth::Known(false) => Near::Nothing,
                    own => Near::Own(own),
                },
                AttentionSpan { distance: Some(_), .. } => Near::Window(expr),
                _ => return None,
            },
        };
        Some(Thinned {
            keep,
            predicate: rest,
            near,
        })
    }

    fn build(&self, graph: &mut Graph, spec: &AttendSpec, operands: &[Value], name: String) -> Value {
        let mut of_token = Own::new(graph, spec, operands);
        let on = of_token.truth(graph, &self.keep);
        let cached = self.cached(graph, spec, operands, on);
        match &self.near {
            Near::Nothing => {
                graph.set_name(cached, name);
                cached
            }
            Near::Own(own) => {
                graph.set_name(cached, name);
                let score = of_token.score(graph);
                let kept = of_token.wide(graph, on);
                let mut seen = graph.unary(UnaryOp::Not, kept);
                if let Truth::Expr(own) = own {
                    let own = of_token.truth(graph, own);
                    let own = of_token.wide(graph, own);
                    seen = graph.binary(BinaryOp::And, seen, own);
                }
                let v = merge::own_values(graph, operands[2], cached);
                let cached = merge::parts(graph, cached);
                merge::join(graph, cached, (seen, score, v), spec.log_sum)
            }
            Near::Window(predicate) => {
                let new = AttendSpec {
                    predicate: Some(predicate.clone()),
                    log_sum: true,
                    ..spec.clone()
                };
                let near = graph.attend(new, operands);
                graph.set_name(cached, format!("{name}.far"));
                graph.set_name(near, format!("{name}.near"));
                let (near, log) = merge::parts(graph, near);
                let unseen = graph.constant(UNSEEN, graph.ty(log).clone());
                let seen = graph.binary(BinaryOp::Ne, log, unseen);
                let cached = merge::parts(graph, cached);
                merge::join(graph, cached, (seen, log, near), spec.log_sum)
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
        if uses(PairExpr::QueryPos) {
            query.push(graph.position());
        }
        if uses(PairExpr::KeyPos) {
            key.push(graph.position());
        }
        let moved = |expr: &Option<PairExpr>| {
            let leaf = |leaf: &PairExpr| match leaf {
                PairExpr::QueryPos => PairExpr::QueryStream(of_query),
                PairExpr::KeyPos => PairExpr::KeyStream(of_key),
                other => other.clone(),
            };
            expr.as_ref().map(|expr| pairs::with_leaves(expr, &leaf))
        };
        let new = AttendSpec {
            predicate: moved(&self.predicate),
            score: moved(&spec.score),
            clock: Clock::Keys,
            log_sum: spec.log_sum || !matches!(self.near, Near::Nothing),
            query_streams: query.len(),
            key_streams: key.len(),
            ..spec.clone()
        };
        let list = [&operands[..3], &[on], &query, &key].concat();
        graph.attend(new, &list)
    }
}

#[cfg(test)]
mod tests;
