//! A score that is minus infinity for some pairs, `if i - j < 64 then s else -inf`, is a predicate: with softmax such a key is as one that is
//! not seen, and what predicates say bounds caches and loops.

use seqc_ir::{BinaryOp, Graph, Normaliser, Op, PairExpr, UnaryOp};

/// Rewrites all attentions that it applies to.
pub fn masked_scores(graph: &mut Graph) {
    for v in graph.order() {
        let Op::Attend(mut spec) = graph.op(v).clone() else {
            continue;
        };
        let plain = spec.normaliser == Normaliser::Softmax && spec.policy.is_none();
        let mut changed = false;
        while let Some((seen, score)) = spec.score.as_ref().filter(|_| plain).and_then(masked) {
            spec.predicate = Some(match spec.predicate.take() {
                Some(predicate) => PairExpr::binary(BinaryOp::And, predicate, seen),
                None => seen,
            });
            spec.score = Some(score).filter(|score| *score != PairExpr::Score);
            changed = true;
        }
        if changed {
            graph.set_op(v, Op::Attend(spec));
        }
    }
}

/// Which pairs a score does not mask, and their score.
fn masked(score: &PairExpr) -> Option<(PairExpr, PairExpr)> {
    let PairExpr::Select(condition, a, b) = score else {
        return None;
    };
    let of_score = |e: &PairExpr| e.any(&|part| matches!(part, PairExpr::Score | PairExpr::After(_)));
    if of_score(condition) || a.uses_sums_behind() || b.uses_sums_behind() {
        return None;
    }
    let masks = |e: &PairExpr| e.constant() == Some(f64::NEG_INFINITY);
    if masks(b) {
        return Some(((**condition).clone(), (**a).clone()));
    }
    masks(a).then(|| (PairExpr::unary(UnaryOp::Not, (**condition).clone()), (**b).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_ir::{AttendSpec, Elem, Ty, dims, eval::Evaluator, eval::Tensor};

    #[test]
    fn a_masked_score_is_a_predicate_with_the_same_results() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", Ty::new(Elem::F32, dims(&[2, 4])));
        let binary = PairExpr::binary;
        let age = || binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
        let near = binary(BinaryOp::Lt, age(), PairExpr::Const(3.0));
        let own = binary(BinaryOp::Eq, age(), PairExpr::Const(0.0));
        let twice = binary(BinaryOp::Mul, PairExpr::Const(2.0), PairExpr::Score);
        let least = || PairExpr::Const(f64::NEG_INFINITY);
        // The own key and those from the third on are not seen.
        let score = PairExpr::select(near, PairExpr::select(own, least(), twice), least());
        let spec = AttendSpec {
            score: Some(score),
            ..AttendSpec::default()
        };
        let y = graph.attend(spec, &[x, x, x]);
        graph.add_output("y", y);
        let mut new = graph.clone();
        masked_scores(&mut new);
        let Op::Attend(spec) = new.op(new.outputs[0].1) else {
            panic!("{new}");
        };
        assert!(
            spec.predicate.is_some() && !spec.score.iter().any(|s| matches!(s, PairExpr::Select(..))),
            "{new}"
        );
        let results = |graph: &Graph| -> Vec<f64> {
            let mut evaluator = Evaluator::new(graph, &[]).unwrap_or_else(|e| panic!("{e}\n{graph}"));
            let token = |t: usize| Tensor::new(&[2, 4], (0..8).map(|n| ((n + 3 * t) as f64).sin()).collect());
            let mut step = |t| evaluator.step(&[token(t)]).unwrap_or_else(|e| panic!("{e}"));
            (0..9).flat_map(|t| step(t).into_iter().flat_map(|y| y.data)).collect()
        };
        assert_eq!(results(&new), results(&graph));
    }
}
