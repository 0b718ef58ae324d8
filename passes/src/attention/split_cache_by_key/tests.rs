//! The condition under which the pass applies, what it makes, and that this means the same.

use super::*;
use crate::{attention::clock_rate::ClockRate, simplify::simplify};
use seqc_ir::{
    Elem,
    eval::{Evaluator, Tensor},
    random::Rng,
    verify::verify,
};

/// Attention of four query heads on two key heads with streams: `q0` per head, `q1` a parameter, `k0` integers, `k1` per
/// head.
fn attention(options: &str) -> Graph {
    let text = format!(
        "graph a {{
        param 0 limit : f32[1]
        input 0 q : f32[4, 3] input 1 k : f32[2, 3] input 2 v : f32[2, 5] input 3 gate : f32[4] input 4 kind : i64
        %0 = input(0) : f32[4, 3] %1 = input(1) : f32[2, 3] %2 = input(2) : f32[2, 5]
        %3 = input(3) : f32[4] %4 = input(4) : i64
        %5 = param(0) : f32[1] %6 = reshape %5 : f32
        %7 = attend(scale=0.5, {options}, query=2, key=2) %0, %1, %2, %3, %6, %4, %3 : f32[4, {}] \"o\"
        output y %7 }}",
        if options.contains("log_sum") { 6 } else { 5 },
    );
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(verify(&graph), []);
    graph
}

fn masked(predicate: &str) -> Graph {
    attention(&format!("where={predicate}, normalise=softmax, causal=true"))
}

fn thinned(graph: &Graph) -> Graph {
    let mut new = graph.clone();
    split_cache_by_key(&mut new);
    simplify(&mut new);
    assert_eq!(verify(&new), [], "{new}");
    new
}

/// What each attention of a graph keeps.
fn bounds(graph: &Graph) -> String {
    let bound = |v: Value| {
        let Op::Attend(spec) = graph.op(v) else { return None };
        let on = spec.on().map(|on| graph.operands(v)[on]);
        let bound = on
            .map_or(ClockRate::ALL, |on| ClockRate::of(graph, on))
            .bound(&AttentionSpan::new(spec, 4));
        Some(if on.is_some() { format!("{bound} ticks") } else { bound })
    };
    let bounds: Vec<String> = graph.live_order().into_iter().filter_map(bound).collect();
    bounds.join("; ")
}

fn same(graph: &Graph, other: &Graph) {
    same_on(graph, other, false);
    same_on(graph, other, true);
}

/// With `spoiled` a real number now and then is none.
fn same_on(graph: &Graph, other: &Graph, spoiled: bool) {
    let mut rng = Rng::new(7);
    let params = [Tensor::new(&[1], vec![1.5])];
    let mut evaluators = [graph, other].map(|g| Evaluator::new(g, &params).expect("a valid graph"));
    for t in 0..60 {
        let mut inputs = Vec::new();
        for input in &graph.inputs {
            let whole = input.ty.elem == Elem::I64;
            inputs.push(Tensor::fill(&input.ty.sizes(), |_| {
                if whole {
                    rng.below(4) as f64
                } else if spoiled && rng.once_in(300) {
                    *rng.choose(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
                } else {
                    rng.unit() * 4.0 - 2.0
                }
            }));
        }
        let [a, b] = evaluators
            .each_mut()
            .map(|e| e.step(&inputs).expect("a step").remove(0));
        for (x, y) in a.data.iter().zip(&b.data) {
            let same = (x - y).abs() < 1e-9 || !(x.is_finite() || y.is_finite());
            assert!(same, "token {t}: {x} and {y}\n{other}");
        }
    }
}

#[test]
fn conditions_on_keys_become_clocks() {
    let cases = [
        ("or(eq(i, j), eq(mod(j, 8.0), 7.0))", "T / 8 ticks"),
        ("or(eq(mod(j, 8.0), 7.0), le(sub(i, j), 0.0))", "T / 8 ticks"),
        (
            "or(eq(sub(j, mul(3.0, floor(div(j, 3.0)))), 1.0), lt(sub(i, j), 1.0))",
            "T ticks",
        ),
        ("eq(mod(j, 4.0), 1.0)", "T / 4 ticks"),
        ("and(eq(mod(j, 4.0), 1.0), ge(sub(i, j), 3.0))", "T / 4 ticks"),
        ("or(eq(k0, 1.0), eq(i, j))", "T ticks"),
        ("or(lt(k0, q1), eq(i, j))", "T ticks"),
        ("and(ne(k0, 0.0), or(eq(i, j), eq(mod(j, 4.0), 1.0)))", "T ticks"),
        ("not(and(ne(i, j), ne(mod(j, 5.0), 2.0)))", "T / 5 ticks"),
        ("select(eq(i, j), gt(head, 1.0), eq(mod(j, 4.0), 1.0))", "T / 4 ticks"),
        ("and(or(eq(i, j), eq(mod(j, 8.0), 7.0)), lt(q0, k1))", "T / 8 ticks"),
        ("or(eq(mod(j, 4.0), 1.0), lt(sub(i, j), 6.0))", "min(T, 6); T / 4 ticks"),
        (
            "or(or(lt(j, 2.0), eq(floor(div(i, 8.0)), floor(div(j, 8.0)))), eq(mod(j, 8.0), 7.0))",
            "min(T, 2 + 8); T / 8 ticks",
        ),
        (
            "or(gt(k0, 2.0), and(lt(sub(i, j), 9.0), lt(q0, k1)))",
            "min(T, 9); T ticks",
        ),
    ];
    for (predicate, bound) in cases {
        let graph = masked(predicate);
        let new = thinned(&graph);
        let found: Vec<String> = bounds(&new).split("; ").map(str::to_owned).collect();
        let mut wanted: Vec<String> = bound.split("; ").map(str::to_owned).collect();
        assert!(
            found == wanted || {
                wanted.reverse();
                found == wanted
            },
            "{predicate}: {found:?}\n{new}"
        );
        same(&graph, &new);
    }
}

#[test]
fn scores_and_logarithms_stay_what_they_are() {
    let own = "where=or(eq(i, j), eq(mod(j, 4.0), 3.0))";
    let window = "where=or(lt(sub(i, j), 5.0), eq(k0, 3.0))";
    for score in [
        "sub(s, mul(0.125, sub(i, j)))",
        "add(mul(2.0, tanh(s)), mul(q0, k1))",
        "select(eq(i, j), sub(s, head), add(s, mul(0.5, k0)))",
        "select(lt(k0, 2.0), -inf, s)",
    ] {
        for (predicate, tail) in [
            (own, ""),
            (own, ", log_sum=true"),
            (window, ""),
            (window, ", log_sum=true"),
        ] {
            let options = format!("{predicate}, score={score}, normalise=softmax, causal=true{tail}");
            let graph = attention(&options);
            let new = thinned(&graph);
            assert!(bounds(&new).contains("ticks"), "{new}");
            same(&graph, &new);
        }
    }
}

#[test]
fn other_attentions_are_left_alone() {
    let plain = |options: &str| attention(options).to_string();
    for options in [
        "normalise=softmax, causal=true",
        // Positions bound the cache.
        "where=and(lt(sub(i, j), 9.0), eq(mod(j, 4.0), 1.0)), normalise=softmax, causal=true",
        "where=lt(sub(i, j), 9.0), normalise=softmax, causal=true",
        // Keys of all kinds are seen by someone.
        "where=eq(mod(sub(i, j), 4.0), 1.0), normalise=softmax, causal=true",
        "where=eq(q0, k0), normalise=softmax, causal=true",
        "where=or(eq(mod(j, 4.0), 1.0), lt(sub(i, j), q1)), normalise=softmax, causal=true",
        // A stream of each head is no condition for all of them.
        "where=gt(k1, 0.0), normalise=softmax, causal=true",
        "where=eq(mod(j, 4.0), 1.0), score=exp(s), normalise=sum, causal=true",
        "where=eq(mod(j, 4.0), 1.0), normalise=softmax, causal=false",
    ] {
        let mut graph = attention(options);
        split_cache_by_key(&mut graph);
        assert_eq!(graph.to_string(), plain(options));
    }
}
