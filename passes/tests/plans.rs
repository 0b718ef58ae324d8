//! Plans: of small layers of every kind, as text, and of random graphs.

use seqc_ir::{
    Graph, Model,
    random::{random_graph, random_graph_whole},
    verify::{verify, verify_model},
};
use seqc_passes::{
    machine::Machine,
    optimise, optimised,
    plan::{Chunks, Plan, PlannedText, Settings},
    planned::PlannedModel,
};

/// A small layer for each kind of plan.
const LAYERS: &[(&str, &str)] = &[
    (
        "products-with-fused-epilogue",
        "graph gated { param 0 w : f32[8, 4] param 1 v : f32[8, 4] param 2 o : f32[4, 8] input 0 x : f32[4]
        %0 = input(0) : f32[4] %1 = param(0) : f32[8, 4] %2 = param(1) : f32[8, 4] %3 = param(2) : f32[4, 8]
        %4 = matvec %1, %0 : f32[8] %5 = matvec %2, %0 : f32[8] %6 = sigmoid %4 : f32[8]
        %7 = mul %6, %4 : f32[8] %8 = mul %7, %5 : f32[8] \"gated\"
        %9 = matvec %3, %8 : f32[4] %10 = add %9, %0 : f32[4]
        output y %10 }",
    ),
    (
        "load-time-constants",
        "graph decay { param 0 a : f32[32, 4] input 0 x : f32[32] state @0 h : f32[32, 4] next %7
        %0 = param(0) : f32[32, 4] %1 = input(0) : f32[32] %2 = exp %0 : f32[32, 4] %3 = neg %2 : f32[32, 4] \"A\"
        %4 = prev(@0) : f32[32, 4] %5 = mul %3, %4 : f32[32, 4] %6 = view(i0) %1 : f32[32, 4]
        %7 = add %5, %6 : f32[32, 4] %8 = reduce(sum, axes=1) %7 : f32[32]
        output y %8 }",
    ),
    (
        "history-of-delays",
        "graph taps { param 0 w : f32[4, 4] input 0 x : f32[4]
        %0 = input(0) : f32[4] %1 = param(0) : f32[4, 4] %2 = matvec %1, %0 : f32[4] \"u\"
        %3 = delay(steps=1) %2 : f32[4] %4 = delay(steps=3) %2 : f32[4] %5 = add %2, %3 : f32[4] %6 = add %5, %4 : f32[4]
        output y %6 }",
    ),
    (
        "scan",
        "graph nonlinear { input 0 x : f32[64] input 1 a : f32[64] state @0 h : f32[64] next %6
        %0 = input(0) : f32[64] %1 = input(1) : f32[64] %2 = prev(@0) : f32[64] %3 = sigmoid %1 : f32[64]
        %4 = mul %3, %2 : f32[64] %5 = tanh %4 : f32[64] %6 = add %5, %0 : f32[64] \"h\" %7 = exp %6 : f32[64]
        output y %7 }",
    ),
    (
        "state-space-duality",
        "graph duality { input 0 v : f32[4, 64] input 1 k : f32[64] input 2 q : f32[64] input 3 a : f32[4]
        state @0 S : f32[4, 64, 64] next %12
        %0 = input(0) : f32[4, 64] %1 = input(1) : f32[64] %2 = input(2) : f32[64] %3 = input(3) : f32[4]
        %4 = prev(@0) : f32[4, 64, 64] %5 = sigmoid %3 : f32[4] %6 = view(i0) %5 : f32[4, 64, 64]
        %7 = view(i0, i1) %0 : f32[4, 64, 64] %8 = view(i2) %1 : f32[4, 64, 64] %9 = view(i2) %2 : f32[4, 64, 64]
        %10 = mul %6, %4 : f32[4, 64, 64] %11 = mul %7, %8 : f32[4, 64, 64] %12 = add %10, %11 : f32[4, 64, 64]
        %13 = mul %12, %9 : f32[4, 64, 64] %14 = reduce(sum, axes=1) %13 : f32[4, 64] \"y\"
        output y %14 }",
    ),
    (
        "wy-form",
        "graph delta { input 0 v : f32[2, 64] input 1 k : f32[2, 64] input 2 q : f32[2, 64] input 3 b : f32[2]
        state @0 S : f32[2, 64, 64] next %16
        %0 = input(0) : f32[2, 64] %1 = input(1) : f32[2, 64] %2 = input(2) : f32[2, 64] %3 = input(3) : f32[2]
        %4 = prev(@0) : f32[2, 64, 64] %5 = view(i0, i2) %1 : f32[2, 64, 64]
        %6 = view(i0, i2, i1) %4 : f32[2, 64, 64] %7 = mul %6, %5 : f32[2, 64, 64]
        %8 = reduce(sum, axes=1) %7 : f32[2, 64] \"held\" %9 = sub %0, %8 : f32[2, 64]
        %11 = view(i0) %3 : f32[2, 64] %12 = mul %11, %9 : f32[2, 64]
        %13 = view(i0, i2) %12 : f32[2, 64, 64] %14 = view(i0, i1) %1 : f32[2, 64, 64]
        %15 = mul %14, %13 : f32[2, 64, 64] %16 = add %4, %15 : f32[2, 64, 64] \"S\"
        %17 = view(i0, i2, i1) %16 : f32[2, 64, 64] %18 = view(i0, i2) %2 : f32[2, 64, 64]
        %19 = mul %17, %18 : f32[2, 64, 64] %20 = reduce(sum, axes=1) %19 : f32[2, 64] \"y\"
        output y %20 }",
    ),
    (
        "head-parallel-loop",
        "graph heads { input 0 x : f32[4, 8] state @0 h : f32[4, 8] next %6
        %0 = input(0) : f32[4, 8] %1 = prev(@0) : f32[4, 8] %2 = exp %1 : f32[4, 8] %3 = reduce(sum, axes=1) %2 : f32[4]
        %4 = view(i0) %3 : f32[4, 8] %5 = div %2, %4 : f32[4, 8] %6 = add %5, %0 : f32[4, 8] \"h\"
        output y %6 }",
    ),
    (
        "token-loop",
        "graph recurrent { param 0 w : f32[8, 8] input 0 x : f32[8] state @0 h : f32[8] next %5
        %0 = input(0) : f32[8] %1 = param(0) : f32[8, 8] %2 = prev(@0) : f32[8] %3 = matvec %1, %2 : f32[8]
        %4 = add %3, %0 : f32[8] %5 = tanh %4 : f32[8] \"h\"
        output y %5 }",
    ),
    (
        "window-attention",
        "graph window { input 0 q : f32[2, 8] input 1 k : f32[1, 8] input 2 v : f32[1, 8]
        %0 = input(0) : f32[2, 8] %1 = input(1) : f32[1, 8] %2 = input(2) : f32[1, 8] %3 = exp %0 : f32[2, 8]
        %4 = attend(scale=0.5, where=lt(sub(i, j), 512.0), normalise=softmax, causal=true) %3, %1, %2 : f32[2, 8]
        output y %4 }",
    ),
    (
        "attention-on-a-slower-clock",
        "graph slow { input 0 q : f32[1, 8] input 1 k : f32[1, 8] input 2 v : f32[1, 8]
        %0 = input(0) : f32[1, 8] %1 = input(1) : f32[1, 8] %2 = input(2) : f32[1, 8]
        %3 = position : i64 %4 = const(4.0) : i64 %5 = mod %3, %4 : i64 %6 = const(3.0) : i64 %7 = eq %5, %6 : bool \"on\"
        %8 = attend(scale=1.0, normalise=softmax, causal=true, clock=keys) %0, %1, %2, %7 : f32[1, 8]
        output y %8 }",
    ),
    (
        "long-filter",
        "graph filter { param 0 h : f32[4, 2048] input 0 x : f32[4]
        %0 = input(0) : f32[4] %1 = param(0) : f32[4, 2048] %2 = sigmoid %0 : f32[4] %3 = long_conv %2, %1 : f32[4]
        %4 = mul %3, %0 : f32[4]
        output y %4 }",
    ),
];

/// Two layers that attend to the same keys and values.
const SHARED: &str = "model shared streams 4 {
    input $0 x : f32[1, 8]
    layer0 encodings [] graph first { input 0 x : f32[1, 8]
        %0 = input(0) : f32[1, 8] %1 = attend(scale=1.0, normalise=softmax, causal=true) %0, %0, %0 : f32[1, 8]
        output y %1 }
    layer1 encodings [] graph second { input 0 x : f32[1, 8] input 1 kv : f32[1, 8]
        %0 = input(0) : f32[1, 8] %1 = input(1) : f32[1, 8] %2 = neg %0 : f32[1, 8]
        %3 = attend(scale=1.0, normalise=softmax, causal=true) %2, %1, %1 : f32[1, 8]
        output y %3 }
    call a layer0 ($0) -> ($1) { }
    call b layer1 ($1, $0) -> ($2) { }
    output y $2
}";

/// Most lines of a snapshot: what is longer is not read.
const LONGEST: usize = 30;

/// Keeps the text of a plan, but for forms that do not fit.
fn snapshot(name: &str, text: &str) {
    let lines = text.lines().filter(|line| !line.contains(" unfit "));
    let lines: Vec<&str> = lines.collect();
    assert!(lines.len() <= LONGEST, "{name}: {} lines", lines.len());
    insta::assert_snapshot!(name, lines.join("\n"));
}

#[test]
fn small_layers_are_planned_as_they_should() {
    for (name, text) in LAYERS {
        let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(verify(&graph), [], "{name}");
        optimise(&mut graph);
        let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE));
        snapshot(name, &plan.text(&graph).to_string());
    }
}

#[test]
fn a_cache_that_two_layers_share_is_named() {
    let model: Model = SHARED.parse().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(verify_model(&model), []);
    let model = optimised(&model);
    let planned = PlannedModel::new(&model, Settings::of(&Machine::PORTABLE));
    snapshot("shared-cache", &PlannedText(&planned).to_string());
}

/// Settings that lead to plans of every form.
fn settings() -> [Settings; 3] {
    [Chunks::Cheapest, Chunks::Products, Chunks::Tokens].map(|chunks| Settings {
        chunks,
        max_chunk: 40,
        ..Settings::of(&Machine::PORTABLE)
    })
}

#[test]
fn plans_of_random_graphs_parse_back() {
    let settings = settings();
    for seed in 0..200 {
        let random = if seed % 4 == 0 {
            random_graph_whole
        } else {
            random_graph
        };
        let mut graph = random(seed, 4 + seed as usize % 24).graph;
        optimise(&mut graph);
        let settings = &settings[seed as usize % settings.len()];
        let plan = Plan::new(&graph, settings);
        let text = plan.text(&graph).to_string();
        let parsed = Plan::parse(&text, &graph, &settings.machine);
        let parsed = parsed.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(parsed, plan, "seed {seed}\n{text}");
    }
}

#[test]
fn a_plan_for_another_machine_or_graph_is_refused() {
    let (_, text) = LAYERS[0];
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    optimise(&mut graph);
    let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE))
        .text(&graph)
        .to_string();
    let refused = |text: &str, machine: &Machine| match Plan::parse(text, &graph, machine) {
        Ok(_) => panic!("parsed:\n{text}"),
        Err(error) => error.message,
    };
    let other = Machine {
        name: "other",
        ..Machine::PORTABLE
    };
    assert_eq!(refused(&plan, &other), "this machine is called `other`");
    let renamed = plan.replace("plan gated", "plan gate");
    assert_eq!(refused(&renamed, &Machine::PORTABLE), "this graph is called `gated`");
    let unknown = plan.replace("b0 = %4", "b0 = %99");
    assert_eq!(refused(&unknown, &Machine::PORTABLE), "%99 is not in the graph");
}

/// A previous value that a product reads is a result of the scan that computes the next one.
#[test]
fn previous_values_are_results_of_their_scan() {
    let text = "graph g { param 0 w : f32[4, 4] input 0 x : f32[4] state @0 s : f32[4] next %3
        %0 = input(0) : f32[4] %1 = param(0) : f32[4, 4] %2 = prev(@0) : f32[4] %3 = add %2, %0 : f32[4]
        %4 = matvec %1, %2 : f32[4]
        output y %4 }";
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    seqc_passes::optimise(&mut graph);
    let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE))
        .text(&graph)
        .to_string();
    assert!(plan.contains("scan @0 ") && plan.contains("= %2 "), "{plan}");
}
