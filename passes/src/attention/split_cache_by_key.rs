//! Keeps in a cache only keys that some later query can see, where the predicate says so of the key alone.
//!
//! `where i - j < 64 || j % 8 == 7`: from some distance on a query sees keys with `j % 8 == 7` only. The attention gets
//! the slower clock `j % 8 == 7`. The near keys that the clock leaves out are another attention, whose cache their distance
//! bounds, or the query's own key and no attention at all; the parts are joined by the logarithms of their sums, which is
//! exact. The condition may depend on data that the key brings along.
//!
//! Only causal softmax over all tokens whose cache grows without bound: where the predicate bounds the distance, positions
//! bound the cache better than a condition does. Tables and lists are left alone.

mod merge;
mod ops;
mod pairs;

use crate::attention::span::AttentionSpan;
use merge::{Part, Partial};
use ops::OwnKey;
use pairs::{FarKey, Says, Truth, facts, given, otherwise, own};
use seqc_formats::Encoding;
use seqc_ir::{
    AttendSpec, BinaryOp, Clock, Graph, Normaliser, Op, PairDomain, PairExpr, PairLeaf, Stage, UNSEEN, UnaryOp, Value,
};

/// Rewrites all attentions that it applies to.
pub fn split_cache_by_key(graph: &mut Graph) {
    let stages = graph.stages();
    for v in graph.order() {
        let Op::Attend(spec) = graph.op(v).clone() else {
            continue;
        };
        if let Some(split) = Split::new(graph, v, &stages) {
            let operands = graph.operands(v);
            let name = graph.node(v).name.clone();
            let new = split.build(graph, &spec, &operands, name);
            graph.replace(v, new);
        }
    }
}

/// What becomes of an attention.
struct Split {
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

impl Split {
    /// `None` where the pass does not apply to the attention `v`. `stages` are those of the graph's values.
    fn new(graph: &Graph, v: Value, stages: &[Stage]) -> Option<Split> {
        let Op::Attend(spec) = graph.op(v) else { return None };
        let (operands, heads) = (graph.operands(v), graph.ty(v).dims[0].size);
        let predicate = spec.predicate.as_ref()?;
        let plain = spec.normaliser == Normaliser::Softmax
            && spec.causal
            && spec.clock == Clock::Every
            && spec.policy.is_none();
        let left_alone = |e: &PairExpr| e.uses_tables() || e.uses_lists() || e.uses_sums_behind();
        let left_alone = left_alone(predicate) || spec.score.as_ref().is_some_and(left_alone);
        if !plain || left_alone || AttentionSpan::new(spec, heads).distance.is_some() {
            return None;
        }
        let is_scalar = |o: &Value| graph.ty(*o).rank() == 0;
        let is_fixed = |o: &Value| stages[o.0 as usize] == Stage::Load && is_scalar(o);
        let fixed: Vec<bool> = operands[spec.query_operands()].iter().map(is_fixed).collect();
        let scalar: Vec<bool> = operands[spec.key_operands()].iter().map(is_scalar).collect();
        let mut far = FarKey {
            want: true,
            heads,
            fixed: &fixed,
            scalar: &scalar,
        };
        let Says::Key(keep) = far.value(predicate) else {
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
                // A key that was stored in fewer bits is another one than the query's own.
                AttentionSpan {
                    distance: Some(..=1),
                    first: 0,
                } if spec.stored == Encoding::F32 => match own(predicate) {
                    Truth::Known(false) => Near::Nothing,
                    own => Near::Own(own),
                },
                AttentionSpan { distance: Some(_), .. } => Near::Window(expr),
                _ => return None,
            },
        };
        Some(Split {
            keep,
            predicate: rest,
            near,
        })
    }

    fn build(&self, graph: &mut Graph, spec: &AttendSpec, operands: &[Value], name: String) -> Value {
        let mut own_key = OwnKey::new(graph, spec, operands);
        let on = own_key.value(&self.keep);
        let cached = self.cached(own_key.graph(), spec, operands, on);
        match &self.near {
            Near::Nothing => {
                graph.set_name(cached, name);
                cached
            }
            Near::Own(own) => {
                own_key.graph().set_name(cached, name);
                let score = own_key.score();
                let kept = own_key.per_head(on);
                let mut seen = own_key.graph().unary(UnaryOp::Not, kept);
                if let Truth::Expr(own) = own {
                    let own = own_key.value(own);
                    let own = own_key.per_head(own);
                    seen = own_key.graph().binary(BinaryOp::And, seen, own);
                }
                let mean = merge::own_values(graph, operands[2], cached);
                let part = Part { mean, log: score };
                let cached = merge::part(graph, cached);
                merge::join(graph, cached, Partial { seen, part }, spec.log_sum)
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
                let part = merge::part(graph, near);
                let unseen = graph.constant(UNSEEN, graph.ty(part.log).clone());
                let seen = graph.binary(BinaryOp::Ne, part.log, unseen);
                let cached = merge::part(graph, cached);
                merge::join(graph, cached, Partial { seen, part }, spec.log_sum)
            }
        }
    }

    /// The attention over the keys that are kept. Positions are streams from now on: those of a clock are others.
    fn cached(&self, graph: &mut Graph, spec: &AttendSpec, operands: &[Value], on: Value) -> Value {
        let mut query = operands[spec.query_operands()].to_vec();
        let mut key = operands[spec.key_operands()].to_vec();
        let exprs = [&self.predicate, &spec.score];
        let uses = |leaf: PairLeaf| {
            exprs
                .iter()
                .any(|e| e.as_ref().is_some_and(|e| e.leaves().contains(&leaf)))
        };
        let (of_query, of_key) = (query.len(), key.len());
        if uses(PairLeaf::QueryPos) {
            query.push(graph.position());
        }
        if uses(PairLeaf::KeyPos) {
            key.push(graph.position());
        }
        let moved = |expr: &Option<PairExpr>| {
            let leaf = |leaf| match leaf {
                PairLeaf::QueryPos => PairExpr::QueryStream(of_query),
                PairLeaf::KeyPos => PairExpr::KeyStream(of_key),
                other => other.into(),
            };
            expr.as_ref().map(|expr| expr.substitute(&leaf))
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
