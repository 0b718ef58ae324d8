//! Cache policies: random ones are valid and have a text form; those that keep all are plain attention.

use seqc_ir::{
    AttendSpec, Elem, Graph, Op, PairExpr, ReduceOp, Ty, dims,
    eval::{
        Evaluator, Tensor,
        entries::{HeadEntries, fewest, pool, reduce, reduce_heads, top_of_heads},
    },
    policy::{Eviction, Policy, Sight, Window},
    random::random_policy,
    verify,
};

#[test]
fn random_policies_are_valid_and_survive_their_text_form() {
    for seed in 0..400 {
        let model = random_policy(seed).model;
        let graph = &model.kinds[0].graph;
        let violations = verify::verify(graph);
        assert!(violations.is_empty(), "seed {seed}: {violations:?}\n{graph}");
        let text = graph.to_string();
        let again: Graph = text.parse().unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(text, again.to_string(), "seed {seed}");
    }
}

#[test]
fn some_random_policies_decide_for_all_heads_together() {
    let joins = |seed: &u64| {
        let model = random_policy(*seed).model;
        let graph = &model.kinds[0].graph;
        let policies = graph.live_order().into_iter().filter_map(|v| match graph.op(v) {
            Op::Attend(spec) => spec.policy.clone(),
            _ => None,
        });
        policies.into_iter().any(|policy| policy.joins_heads())
    };
    assert!((0..100).filter(joins).count() > 5);
}

#[test]
fn of_equal_entries_of_several_heads_earlier_ones_come_first_then_lower_heads() {
    let head = |values: &[f64], positions: &[f64]| HeadEntries {
        values: values.to_vec(),
        among: values.iter().map(|x| *x > 0.0).collect(),
        positions: positions.to_vec(),
    };
    let heads = [
        head(&[0.0, 2.0, 1.0], &[3.0, 5.0, 9.0]),
        head(&[2.0, 2.0, 2.0, f64::NAN], &[4.0, 5.0, 6.0, 7.0]),
    ];
    assert_eq!(top_of_heads(&heads, 1.5), [vec![0.0; 3], vec![1.0, 0.0, 0.0, 0.0]]);
    assert_eq!(
        top_of_heads(&heads, 2.0),
        [vec![0.0, 1.0, 0.0], vec![1.0, 0.0, 0.0, 0.0]]
    );
    assert_eq!(
        top_of_heads(&heads, 3.0),
        [vec![0.0, 1.0, 0.0], vec![1.0, 1.0, 0.0, 0.0]]
    );
    assert_eq!(
        top_of_heads(&heads, 9.0),
        [vec![0.0, 1.0, 1.0], vec![1.0, 1.0, 1.0, 0.0]]
    );
}

#[test]
fn reductions_over_heads_are_over_those_with_an_entry_in_the_slot() {
    let sums = reduce_heads(ReduceOp::Sum, &[&[1.0, 2.0, 3.0], &[10.0]]);
    assert_eq!(sums, [vec![11.0, 2.0, 3.0], vec![11.0]]);
    let none = [f64::NAN, f64::NEG_INFINITY];
    assert_eq!(reduce(ReduceOp::Max, none.into_iter()), 0.0);
    assert_eq!(reduce(ReduceOp::Min, [f64::NAN, 3.0].into_iter()), 3.0);
}

#[test]
fn the_fewest_that_reach_a_sum_are_the_largest_positive_ones() {
    let values = [3.0, -5.0, f64::NAN, 1.0, 2.0, 9.0];
    let among = [true, true, true, true, true, false];
    let found = [-1.0, 0.0, 0.5, 3.0, 3.5, 6.0, 6.5].map(|sum| fewest(&values, sum, &among));
    assert_eq!(found, [0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
    assert_eq!(fewest(&values, f64::NAN, &among), 3.0);
    assert_eq!(fewest(&[], 1.0, &[]), 0.0);
}

#[test]
fn pools_run_over_the_entries_around_each_one_or_over_its_page() {
    let values = [1.0, 2.0, 4.0, 8.0, 16.0];
    let among = [true, true, true, false, true];
    let sums = |pages| pool(ReduceOp::Sum, Window { size: 3, pages }, &among, |slot| values[slot]);
    assert_eq!(sums(false), [3.0, 7.0, 6.0, 20.0, 16.0]);
    assert_eq!(sums(true), [7.0, 7.0, 7.0, 16.0, 16.0]);
}

fn attention(policy: Option<Policy>) -> Graph {
    let mut graph = Graph::new("attention");
    let shapes = [("q", [4, 6]), ("k", [2, 6]), ("v", [2, 5])];
    let operands = shapes.map(|(name, sizes)| graph.add_input(name, Ty::new(Elem::F32, dims(&sizes))));
    let spec = AttendSpec {
        policy: policy.map(Box::new),
        ..AttendSpec::default()
    };
    let y = graph.attend(spec, &operands);
    graph.add_output("y", y);
    graph
}

/// Results of some tokens, of which ten are a prompt.
fn results(graph: &Graph) -> Vec<f64> {
    let mut evaluator = Evaluator::new(graph, &[]).unwrap_or_else(|e| panic!("{e}"));
    evaluator.set_prompt(Some(10));
    let input = |t: usize, n: usize, shape: &[usize]| Tensor {
        shape: shape.to_vec(),
        data: (0..shape.iter().product())
            .map(|i| ((t * 31 + n * 17 + i * 7) % 23) as f64 / 11.0 - 1.0)
            .collect(),
    };
    let token = |t: usize| [input(t, 0, &[4, 6]), input(t, 1, &[2, 6]), input(t, 2, &[2, 5])];
    let step = |t| evaluator.step(&token(t)).unwrap_or_else(|e| panic!("{e}"));
    (0..40).flat_map(step).flat_map(|y| y.data).collect()
}

#[test]
fn a_policy_that_keeps_all_is_plain_attention() {
    let sight = Sight {
        seen: None,
        query: PairExpr::QueryPos,
        key: PairExpr::KeyPos,
    };
    let policy = Policy {
        sights: vec![sight],
        evict: Some(Eviction {
            at: PairExpr::Const(1.0),
            keep: PairExpr::Const(1.0),
        }),
        ..Policy::default()
    };
    let (plain, kept) = (results(&attention(None)), results(&attention(Some(policy.clone()))));
    let off = plain.iter().zip(&kept).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off < 1e-12, "{off:e}");
    let nothing = Policy {
        evict: Some(Eviction {
            at: PairExpr::Const(1.0),
            keep: PairExpr::Const(0.0),
        }),
        ..policy
    };
    // Each token sees itself alone.
    let own = results(&attention(Some(nothing)));
    assert_ne!(own, plain);
}
