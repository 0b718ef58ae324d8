//! Positions that a layer hands to an attention as streams, `t = position()` and `t[i] - t[j] < 64`, are those that the attention has itself.
//!
//! Without a clock they are the same numbers: expressions name the attention's own, and nothing is kept for them. Between ticks of a clock
//! there are no more ticks than tokens, and a tick's number is no larger than its position: what a predicate says of positions bounds the
//! numbers of ticks, which the predicate then says, too.

use super::span::AttentionSpan;
use seqc_ir::{AttendSpec, BinaryOp, Clock, Graph, Op, PairExpr, PairLeaf, Value};

/// Rewrites all attentions that it applies to.
pub fn own_positions(graph: &mut Graph) {
    for v in graph.order() {
        let Op::Attend(spec) = graph.op(v).clone() else {
            continue;
        };
        let operands = graph.operands(v);
        let is_position = |n: usize| of_token(graph, operands[n]);
        let exprs = || spec.predicate.iter().chain(&spec.score);
        let is_list = |n: usize| exprs().any(|e| e.any(&|part| matches!(part, PairExpr::Listed(m, _) if *m == n)));
        let of_query = spec.query_operands().enumerate();
        let positions = Positions {
            query: of_query.map(|(n, o)| is_position(o) && !is_list(n)).collect(),
            key: spec.key_operands().map(is_position).collect(),
        };
        if spec.policy.is_some() || !positions.any() {
            continue;
        }
        match spec.clock {
            Clock::Every => {
                let (spec, operands) = positions.without(&spec, &operands);
                let name = graph.node(v).name.clone();
                let new = graph.attend(spec, &operands);
                graph.set_name(new, name);
                graph.replace(v, new);
            }
            Clock::Keys | Clock::Both => {
                let heads = graph.ty(v).dims[0].size;
                let spec = positions.bounded(*spec, heads);
                graph.set_op(v, Op::Attend(Box::new(spec)));
            }
            Clock::Memory => {}
        }
    }
}

/// Whether a value is the position of the token.
fn of_token(graph: &Graph, v: Value) -> bool {
    let mut at = v;
    while graph.ty(at).len() == 1 && matches!(graph.op(at), Op::Cast | Op::Reshape | Op::View(_)) {
        at = graph.operands(at)[0];
    }
    *graph.op(at) == Op::Position
}

/// Which streams are positions.
struct Positions {
    query: Vec<bool>,
    key: Vec<bool>,
}

impl Positions {
    fn any(&self) -> bool {
        self.query.iter().chain(&self.key).any(|is_it| *is_it)
    }

    /// An expression that names the attention's own positions, and other streams by the numbers that `of_query` and `of_key` give.
    fn named(&self, expr: &PairExpr, of_query: &dyn Fn(usize) -> usize, of_key: &dyn Fn(usize) -> usize) -> PairExpr {
        expr.substitute(&|leaf| match leaf {
            PairLeaf::QueryStream(n) if self.query[n] => PairExpr::QueryPos,
            PairLeaf::KeyStream(n) if self.key[n] => PairExpr::KeyPos,
            PairLeaf::QueryStream(n) => PairExpr::QueryStream(of_query(n)),
            PairLeaf::KeyStream(n) => PairExpr::KeyStream(of_key(n)),
            other => other.into(),
        })
    }

    /// The attention without these streams.
    fn without(&self, spec: &AttendSpec, operands: &[Value]) -> (AttendSpec, Vec<Value>) {
        let (of_query, of_key) = (|n| before(&self.query, n), |n| before(&self.key, n));
        let named = |expr: &Option<PairExpr>| expr.as_ref().map(|expr| self.named(expr, &of_query, &of_key));
        let mut new = AttendSpec {
            predicate: named(&spec.predicate),
            score: named(&spec.score),
            ..spec.clone()
        };
        (new.query_streams, new.key_streams) = (
            before(&self.query, spec.query_streams),
            before(&self.key, spec.key_streams),
        );
        let (query, key) = (spec.query_operands(), spec.key_operands());
        let kept = |n: &usize| {
            let is_it = |range: &std::ops::Range<usize>, of: &[bool]| range.contains(n) && of[n - range.start];
            !is_it(&query, &self.query) && !is_it(&key, &self.key)
        };
        let operands = (0..operands.len()).filter(kept).map(|n| operands[n]).collect();
        (new, operands)
    }

    /// The attention whose predicate bounds numbers of ticks as it bounds positions.
    fn bounded(&self, spec: AttendSpec, heads: usize) -> AttendSpec {
        let Some(predicate) = &spec.predicate else { return spec };
        let span = AttentionSpan::of_predicate(&self.named(predicate, &|n| n, &|n| n), heads);
        let known = AttentionSpan::of_predicate(predicate, heads);
        let bound = span
            .predicate()
            .filter(|_| spec.causal && span.tokens() < known.tokens());
        match bound {
            Some(bound) => AttendSpec {
                predicate: Some(PairExpr::binary(BinaryOp::And, bound, predicate.clone())),
                ..spec
            },
            None => spec,
        }
    }
}

fn before(is_position: &[bool], n: usize) -> usize {
    is_position[..n].iter().filter(|is_it| !**is_it).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_ir::{Elem, Ty, dims};

    /// The attention of one head that sees the last 8 tokens by streams of positions, over ticks where there is a condition.
    fn attention(clock: Clock) -> Graph {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", Ty::new(Elem::F32, dims(&[1, 4])));
        let document = graph.add_input("document", Ty::scalar(Elem::I64));
        let zero = graph.constant(0.0, Ty::scalar(Elem::I64));
        let on = graph.binary(BinaryOp::Gt, document, zero);
        let t = graph.position();
        let same = PairExpr::binary(BinaryOp::Eq, PairExpr::QueryStream(0), PairExpr::KeyStream(1));
        let age = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryStream(1), PairExpr::KeyStream(0));
        let near = PairExpr::binary(BinaryOp::Lt, age, PairExpr::Const(8.0));
        let spec = AttendSpec {
            predicate: Some(PairExpr::binary(BinaryOp::And, same, near)),
            clock,
            query_streams: 2,
            key_streams: 2,
            ..AttendSpec::default()
        };
        let on: Vec<Value> = spec.on().map(|_| on).into_iter().collect();
        let y = graph.attend(spec, &[&[x, x, x][..], &on, &[document, t], &[t, document]].concat());
        graph.add_output("y", y);
        own_positions(&mut graph);
        graph
    }

    fn spec(graph: &Graph) -> &AttendSpec {
        let Op::Attend(spec) = graph.op(graph.outputs[0].1) else {
            panic!("{graph}");
        };
        spec
    }

    #[test]
    fn without_a_clock_the_attention_has_them_itself() {
        let graph = attention(Clock::Every);
        let spec = spec(&graph);
        assert_eq!([spec.query_streams, spec.key_streams], [1, 1]);
        assert_eq!(AttentionSpan::new(spec, 1).bound(), "min(T, 8)");
        let same = PairExpr::binary(BinaryOp::Eq, PairExpr::QueryStream(0), PairExpr::KeyStream(0));
        assert!(spec.predicate.iter().any(|p| p.conjuncts().contains(&&same)), "{graph}");
    }

    #[test]
    fn a_distance_of_tokens_bounds_that_of_ticks() {
        for clock in [Clock::Keys, Clock::Both] {
            let graph = attention(clock);
            assert_eq!(AttentionSpan::new(spec(&graph), 1).bound(), "min(T, 8)", "{graph}");
        }
    }
}
