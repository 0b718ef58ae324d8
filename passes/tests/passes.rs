//! Every pass: a small graph before and after it, and random graphs that mean the same before and after.

use seqc_ir::{
    Graph,
    eval::{Evaluator, Tensor},
    random::{RandomGraph, random_graph, random_graph_whole},
    verify::verify,
};
use seqc_passes::{PASSES, broken};

/// A small graph for each pass.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "simplify",
        "graph g { param 0 b : f32[3] input 0 x : f32[3]
        %0 = param(0) : f32[3] %1 = input(0) : f32[3] %2 = const(1.0) : f32 %3 = view() %2 : f32[3]
        %4 = mul %1, %3 : f32[3] %5 = add %4, %0 : f32[3] %6 = add %1, %0 : f32[3]
        %7 = mul %5, %6 : f32[3]
        output y %7 }",
    ),
    (
        "mask-by-predicates",
        "graph g { input 0 q : f32[1, 2]
        %0 = input(0) : f32[1, 2]
        %1 = attend(scale=1.0, score=select(lt(sub(i, j), 3.0), mul(s, 2.0), -inf), normalise=softmax, causal=true) %0, %0, %0 : f32[1, 2]
        output y %1 }",
    ),
    (
        "own-positions",
        "graph g { input 0 q : f32[1, 2]
        %0 = input(0) : f32[1, 2] %1 = position : i64
        %2 = attend(scale=1.0, where=lt(sub(q0, k0), 3.0), normalise=softmax, causal=true, query=1, key=1) %0, %0, %0, %1, %1 : f32[1, 2]
        output y %2 }",
    ),
    (
        "split-caches-by-key",
        "graph g { input 0 q : f32[1, 2] input 1 k : f32[1, 2] input 2 v : f32[1, 2]
        %0 = input(0) : f32[1, 2] %1 = input(1) : f32[1, 2] %2 = input(2) : f32[1, 2]
        %3 = attend(scale=1.0, where=eq(mod(j, 8.0), 7.0), normalise=softmax, causal=true) %0, %1, %2 : f32[1, 2]
        output y %3 }",
    ),
    (
        "evict-behind-windows",
        "graph g { input 0 q : f32[1, 2] input 1 k : f32[1, 2] input 2 v : f32[1, 2]
        %0 = input(0) : f32[1, 2] %1 = input(1) : f32[1, 2] %2 = input(2) : f32[1, 2]
        %3 = attend(scale=1.0, where=lt(sub(i, j), 9.0), normalise=softmax, causal=true,
        policy=(see query=i key=j, keys bits=8 group=2 along=channels symmetric=true)) %0, %1, %2 : f32[1, 2]
        output y %3 }",
    ),
    (
        "recognise-delays",
        "graph g { input 0 x : f32[3] state @0 last : f32[3] next %0 state @1 sum : f32[3] next %4
        %0 = input(0) : f32[3] %1 = prev(@0) : f32[3] %2 = delay(steps=2) %1 : f32[3]
        %3 = prev(@1) : f32[3] %4 = add %2, %3 : f32[3]
        output y %4 }",
    ),
    (
        "make-delays-states",
        "graph g { input 0 x : f32[3] state @0 h : f32[3] next %4
        %0 = input(0) : f32[3] %1 = prev(@0) : f32[3] %2 = delay(steps=2) %1 : f32[3]
        %3 = add %1, %2 : f32[3] %4 = add %3, %0 : f32[3]
        output y %4 }",
    ),
    (
        "read-previous-states",
        "graph g { input 0 x : f32[2, 3] state @0 h : f32[2, 3] next %2
        %0 = input(0) : f32[2, 3] %1 = prev(@0) : f32[2, 3] %2 = add %0, %1 : f32[2, 3]
        %3 = delay(steps=1) %2 : f32[2, 3] %4 = reduce(sum, axes=1) %3 : f32[2]
        output y %4 }",
    ),
    (
        "unfold-delays-of-constants",
        "graph g { param 0 b : f32[3] input 0 x : f32[3]
        %0 = param(0) : f32[3] %1 = input(0) : f32[3] %2 = delay(steps=2) %0 : f32[3]
        %3 = delay(steps=2) %1 : f32[3] %4 = mul %2, %3 : f32[3]
        output y %4 }",
    ),
    (
        "recognise-products",
        "graph g { param 0 w : f32[2, 3] input 0 x : f32[7]
        %0 = param(0) : f32[2, 3] %1 = input(0) : f32[7] %2 = view(i1 + 4) %1 : f32[2, 3]
        %3 = mul %2, %0 : f32[2, 3] %4 = reduce(sum, axes=1) %3 : f32[2]
        output y %4 }",
    ),
    (
        "make-streams-real",
        "graph g { input 0 q : f32[1, 2] input 1 k : f32[1, 2] input 2 v : f32[1, 2] input 3 part : i64
        %0 = input(0) : f32[1, 2] %1 = input(1) : f32[1, 2] %2 = input(2) : f32[1, 2] %3 = input(3) : i64
        %4 = attend(scale=1.0, where=eq(q0, k0), normalise=softmax, causal=true, query=1, key=1) %0, %1, %2, %3, %3 : f32[1, 2]
        output y %4 }",
    ),
    (
        "order-axes",
        "graph g { input 0 a : f32[2] input 1 x : f32[4, 3] state @0 s : f32[3, 4, 2] next %6
        %0 = input(0) : f32[2] %1 = input(1) : f32[4, 3] %2 = prev(@0) : f32[3, 4, 2] %3 = view(i2) %0 : f32[3, 4, 2]
        %4 = mul %3, %2 : f32[3, 4, 2] %5 = view(i1, i0) %1 : f32[3, 4, 2] %6 = add %4, %5 : f32[3, 4, 2]
        %7 = view(i2, i1, i0) %6 : f32[2, 4, 3] %8 = reduce(sum, axes=1) %7 : f32[2, 4]
        output y %8 }",
    ),
    (
        "simplify-again",
        "graph g { param 0 w : f32[2, 3] input 0 x : f32[3]
        %0 = param(0) : f32[2, 3] %1 = input(0) : f32[3] %2 = reshape %0 : f32[6] %3 = reshape %2 : f32[2, 3]
        %4 = matvec %3, %1 : f32[2]
        output y %4 }",
    ),
];

#[test]
fn each_pass_changes_what_it_says() {
    let names: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
    let examples: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, examples, "every pass has one example, in order");
    for (pass, (name, text)) in PASSES.iter().zip(EXAMPLES) {
        let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(verify(&graph), [], "{name}");
        let before = graph.to_string();
        (pass.run)(&mut graph);
        seqc_passes::simplify::drop_dead(&mut graph);
        insta::assert_snapshot!(*name, format!("{before}\n{graph}"));
    }
}

#[test]
fn passes_keep_the_meaning_of_random_graphs_and_their_laws() {
    for seed in 0..80 {
        let random = match seed % 4 {
            0 => random_graph_whole(seed, 6),
            _ => random_graph(seed, 4 + seed as usize % 9),
        };
        let mut graph = random.graph.clone();
        let before = results(&random, &graph, seed);
        for (n, pass) in PASSES.iter().enumerate() {
            (pass.run)(&mut graph);
            let broken = broken(&graph, &PASSES[..=n]);
            assert!(broken.is_empty(), "seed {seed}, {}: {}", pass.name, broken.join("\n"));
            let after = results(&random, &graph, seed);
            let pairs = before.iter().zip(&after);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-9, "seed {seed}, {}: {worst}\n{graph}", pass.name);
        }
    }
}

/// All results of the first tokens.
fn results(random: &RandomGraph, graph: &Graph, seed: u64) -> Vec<f64> {
    let evaluator = Evaluator::new(graph, &random.param_values(seed)).expect("a valid graph");
    let outputs = evaluator
        .run_whole(&random.input_values(seed, 24))
        .expect("inputs of the graph's types");
    let tensors = outputs.into_iter().flatten();
    tensors.flat_map(|t: Tensor| t.data).collect()
}

/// A product whose vector is made of another one: both are recognised.
#[test]
fn products_inside_of_products_are_recognised() {
    let text = "graph g { param 0 a : f32[4, 2] param 1 w : f32[4, 2, 3] input 0 x : f32[3]
        %0 = param(0) : f32[4, 2] %1 = param(1) : f32[4, 2, 3] %2 = input(0) : f32[3]
        %3 = view(i2) %2 : f32[4, 2, 3] %4 = mul %1, %3 : f32[4, 2, 3] %5 = reduce(sum, axes=1) %4 : f32[4, 2]
        %6 = mul %0, %5 : f32[4, 2] %7 = reduce(sum, axes=1) %6 : f32[4]
        output y %7 }";
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    seqc_passes::optimise(&mut graph);
    assert!(graph.to_string().contains("matvec"), "{graph}");
}
