//! The verifier: for each law a graph or model that breaks it, and what is said.

use seqc_ir::{
    Graph, Model, Op, Ty, Value,
    verify::{Violation, verify, verify_model},
};

/// A graph in which `lines` are the nodes and `%0` an input `x : f32[4]`, `%1` an input `t : i64`, `%2` a parameter
/// `w : f32[3, 4]`; the result is the last node.
fn graph(lines: &str) -> Graph {
    let last = lines
        .split('%')
        .filter_map(|s| s.split_once(" ="))
        .filter_map(|(n, _)| n.parse::<u32>().ok())
        .max();
    let text = format!(
        "graph g {{ param 0 w : f32[3, 4] input 0 x : f32[4] input 1 t : i64
        %0 = input(0) : f32[4] %1 = input(1) : i64 %2 = param(0) : f32[3, 4]
        {lines} output y %{} }}",
        last.unwrap_or(0)
    );
    text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn laws(violations: &[Violation]) -> Vec<u8> {
    violations.iter().map(|v| v.law).collect()
}

#[test]
fn every_law_of_nodes_is_checked() {
    let cases: &[(u8, &str)] = &[
        (1, "%3 = param(1) : f32"),
        (1, "%3 = input(7) : f32"),
        (1, "%3 = prev(@0) : f32"),
        (2, "%3 = add %0 : f32[4]"),
        (2, "%3 = concat(axis=0) : f32[4]"),
        (2, "%3 = position %0 : i64"),
        (3, "%3 = neg %4 : f32[4] %4 = neg %3 : f32[4]"),
        (4, "%3 = const(1.0) : f32[2, 0]"),
        (4, "%3 = const(1.0) : f32[1000000000000, 1000000000000]"),
        (5, "%3 = input(0) : f32[5]"),
        (6, "%3 = exp %1 : i64"),
        (6, "%3 = not %0 : f32[4]"),
        (6, "%3 = lt %0, %0 : f32[4]"),
        (6, "%3 = pow %1, %1 : i64"),
        (6, "%3 = and %0, %0 : bool[4]"),
        (6, "%3 = const(0.5) : i64"),
        (6, "%3 = cast %0 : bool[4]"),
        (6, "%3 = select %0, %0, %0 : f32[4]"),
        (6, "%3 = reshape %0 : i64[4]"),
        (6, "%3 = iota(axis=0) : f32[4]"),
        (6, "%3 = gather %2, %0 : f32[4, 4]"),
        (6, "%3 = delay(steps=1) %0 : i64[4]"),
        (7, "%3 = neg %0 : f32[5]"),
        (7, "%3 = const(1.0) : f32 %4 = add %0, %3 : f32[4]"),
        (7, "%3 = reshape %0 : f32[2, 3]"),
        (7, "%3 = position : i64[1]"),
        (7, "%3 = concat(axis=0) %0, %0 : f32[7]"),
        (7, "%3 = concat(axis=0) %0, %2 : f32[7]"),
        (7, "%3 = gather %2, %1 : f32[3]"),
        (7, "%3 = reduce(sum, axes=1) %2 : f32[4]"),
        (7, "%3 = matvec %2, %0 : f32[4]"),
        (7, "%3 = matvec %2, %2 : f32[3]"),
        (
            6,
            "%3 = reshape %2 : f32[1, 3, 4] %4 = indexed_matvec %3, %0, %0 : f32[4, 3]",
        ),
        (
            7,
            "%3 = reshape %2 : f32[1, 3, 4] %4 = indexed_matvec %3, %1, %0 : f32[3]",
        ),
        (
            7,
            "%3 = reshape %2 : f32[1, 3, 4] %4 = reshape %1 : i64[1] %5 = indexed_matvec %3, %4, %2 : f32[1, 3]",
        ),
        (7, "%3 = reshape %1 : i64[1] %4 = indexed_matvec %2, %3, %0 : f32[1, 3]"),
        (
            10,
            "%3 = view(i2) %0 : f32[1, 3, 4] %4 = reshape %1 : i64[1] %5 = indexed_matvec %3, %4, %0 : f32[1, 3]",
        ),
        (8, "%3 = view() %0 : f32[4]"),
        (8, "%3 = view(i1) %0 : f32[4]"),
        (8, "%3 = view(i0 + 1) %0 : f32[4]"),
        (8, "%3 = view(i0 * -1) %0 : f32[4]"),
        (8, "%3 = view(i0 / 0) %0 : f32[4]"),
        (8, "%3 = view(i0 % -4) %0 : f32[4]"),
        (8, "%3 = view(i0 * 4611686018427387904 * 4 % 4) %0 : f32[4]"),
        (9, "%3 = iota(axis=1) : i64[4]"),
        (9, "%3 = concat(axis=1) %0, %0 : f32[8]"),
        (9, "%3 = reduce(sum, axes=0) %2 : f32[3, 4]"),
        (9, "%3 = reduce(sum, axes=3) %2 : f32"),
        (9, "%3 = delay(steps=0) %0 : f32[4]"),
        (9, "%3 = window(taps=2, step=99999999) %0 : f32[2, 4]"),
        (9, "%3 = window(taps=2, step=0) %0 : f32[2, 4]"),
        (7, "%3 = window(taps=2, step=1) %0 : f32[3, 4]"),
        (7, "%3 = long_conv %0, %2 : f32[4]"),
        (10, "%3 = view(i0) %0 : f32[4, 2] %4 = long_conv %0, %3 : f32[4]"),
        (9, "%3 = const(1.0) : f32[4, 2000000] %4 = long_conv %0, %3 : f32[4]"),
        (10, "%3 = gather %0, %1 : f32"),
        (10, "%3 = view(i1) %0 : f32[3, 4] %4 = matvec %3, %0 : f32[3]"),
    ];
    for (law, lines) in cases {
        let graph = graph(lines);
        let violations = verify(&graph);
        assert!(
            laws(&violations).contains(law),
            "law {law} for\n{lines}\ngave {violations:?}"
        );
    }
}

#[test]
fn laws_of_attention_are_checked() {
    let good = "attend(scale=1.0, normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]";
    let cases = [
        (
            "%4, %3",
            "attend(scale=1.0, normalise=softmax, causal=true) %4, %3, %3 : f32[2, 1]",
        ),
        (
            "not finite",
            "attend(scale=inf, normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "lengths",
            "attend(scale=1.0, normalise=softmax, causal=true) %5, %4, %4 : f32[2, 1]",
        ),
        (
            "value heads",
            "attend(scale=1.0, normalise=softmax, causal=true) %3, %4, %3 : f32[4, 1]",
        ),
        (
            "axes",
            "attend(scale=1.0, normalise=softmax, causal=true) %0, %4, %4 : f32[4, 1]",
        ),
        (
            "truth",
            "attend(scale=1.0, where=i, normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "number",
            "attend(scale=1.0, score=lt(i, j), normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "score",
            "attend(scale=1.0, where=lt(s, i), normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "stream",
            "attend(scale=1.0, score=add(s, q0), normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "key stream",
            "attend(scale=1.0, score=add(s, k0), normalise=softmax, causal=true, query=0, key=1) %3, %4, %4, %3 : f32[4, 1]",
        ),
        (
            "query stream",
            "attend(scale=1.0, score=add(s, q0), normalise=softmax, causal=true, query=1, key=0) %3, %4, %4, %5 : f32[4, 1]",
        ),
        (
            "mixed",
            "attend(scale=1.0, where=and(i, lt(i, j)), normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "log sum",
            "attend(scale=1.0, normalise=sum, causal=true, log_sum=true) %3, %4, %4 : f32[4, 2]",
        ),
        (
            "a cache of blocks",
            "attend(scale=1.0, normalise=softmax, causal=true, stored=q4_0) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "too many keys asked for",
            "attend(scale=1.0, normalise=top(70000), causal=true) %3, %4 : f32[4, 2, 70000]",
        ),
        (
            "three of two heads together",
            "attend(scale=1.0, normalise=top(3), causal=true, together=3) %3, %4 : f32[1, 2, 3]",
        ),
        (
            "together without a choice",
            "attend(scale=1.0, normalise=softmax, causal=true, together=2) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "a list for each of two heads",
            "attend(scale=1.0, where=listed0(j), normalise=softmax, causal=true, query=1, key=0) %3, %4, %4, %5 : f32[4, 1]",
        ),
        (
            "a list read as a number",
            "attend(scale=1.0, where=eq(q0, j), normalise=softmax, causal=true, query=1, key=0) %3, %4, %4, %5 : f32[4, 1]",
        ),
        (
            "a truth value in a list",
            "attend(scale=1.0, where=listed0(lt(i, j)), normalise=softmax, causal=true, query=1, key=0) %3, %4, %4, %0 : f32[4, 1]",
        ),
        (
            "a clock of numbers",
            "attend(scale=1.0, normalise=softmax, causal=true, clock=keys) %3, %4, %4, %0 : f32[4, 1]",
        ),
        (
            "no table",
            "attend(scale=1.0, score=t0(i), normalise=softmax, causal=true) %3, %4, %4 : f32[4, 1]",
        ),
        (
            "indices of a table",
            "attend(scale=1.0, score=t0(i), normalise=softmax, causal=true, tables=1) %3, %4, %4, %5 : f32[4, 1]",
        ),
    ];
    let with = |attend: &str| {
        let shapes = "%3 = reshape %0 : f32[4, 1] %4 = view(i0, i1) %3 : f32[2, 1] %5 = reshape %0 : f32[2, 2]";
        verify(&graph(&format!("{shapes} %6 = {attend}")))
    };
    assert_eq!(with(good), []);
    for (what, attend) in cases {
        let violations = with(attend);
        assert!(laws(&violations).contains(&11), "{what}: {violations:?}");
    }
}

#[test]
fn laws_of_the_whole_graph_are_checked() {
    let mut removed = graph("%3 = neg %0 : f32[4]");
    removed.remove(Value(3));
    assert_eq!(laws(&verify(&removed)), [1]);

    let mut open = graph("%3 = neg %0 : f32[4]");
    let state = open.add_state("h", Ty::f32(&[4]));
    assert_eq!(laws(&verify(&open)), [12]);
    open.set_next(state, Value(2));
    assert_eq!(laws(&verify(&open)), [12]);
    open.set_next(state, Value(3));
    assert_eq!(verify(&open), []);

    let mut twice = graph("%3 = neg %0 : f32[4]");
    twice.add_output("y", Value(0));
    assert_eq!(laws(&verify(&twice)), [13]);
    twice.outputs.clear();
    assert_eq!(laws(&verify(&twice)), [13]);

    let mut types = graph("%3 = neg %0 : f32[4]");
    types.add_param("rows", Ty::i64(&[4]));
    assert_eq!(laws(&verify(&types)), [5]);
}

#[test]
fn violations_show_the_node() {
    let mut graph = graph("%3 = mul %0, %0 : f32[4] %4 = view(i0 + 2) %3 : f32[a=3]");
    graph.set_name(Value(4), "tail");
    graph.set_op(Value(3), Op::MatVec);
    let report: Vec<_> = verify(&graph).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn laws_of_models_are_checked() {
    let layer = "graph l { param 0 w : f32[2] input 0 x : f32[2]
        %0 = input(0) : f32[2] %1 = param(0) : f32[2] %2 = mul %0, %1 : f32[2] output y %2 }";
    let model = |encodings: &str, calls: &str, outputs: &str| -> Vec<u8> {
        let text = format!(
            "model m streams 3 {{ input $0 x : f32[2] layer0 encodings [{encodings}] {layer} {calls} {outputs} }}"
        );
        laws(&verify_model(&text.parse::<Model>().unwrap()))
    };
    let call = "call a layer0 ($0) -> ($1) { param w from [t] }";
    assert_eq!(model("f32", call, "output y $1"), [0; 0]);
    assert_eq!(model("", call, "output y $1"), [14]);
    assert_eq!(model("f64", call, "output y $1"), [14]);
    assert_eq!(model("f32", "call a layer1 ($0) -> ($1) { }", "output y $1"), [15]);
    assert_eq!(
        model("f32", "call a layer0 () -> ($1) { param w from [t] }", "output y $1"),
        [15]
    );
    assert_eq!(
        model("f32", "call a layer0 ($0) -> () { param w from [t] }", "output y $1"),
        [15]
    );
    assert_eq!(model("f32", "call a layer0 ($0) -> ($1) { }", "output y $1"), [15]);
    assert_eq!(
        model("f32", "call a layer0 ($0) -> ($1) { param w from [] }", "output y $1"),
        [15]
    );
    assert_eq!(
        model("f32", "call a layer0 ($2) -> ($1) { param w from [t] }", "output y $1"),
        [16]
    );
    assert_eq!(
        model("f32", "call a layer0 ($0) -> ($0) { param w from [t] }", "output y $0"),
        [16]
    );
    assert_eq!(
        model("f32", "call a layer0 ($0) -> ($9) { param w from [t] }", "output y $9"),
        [16]
    );
    assert_eq!(model("f32", call, "output y $2"), [16]);
    assert_eq!(model("f32", call, ""), [18]);
    assert_eq!(model("f32", call, "output y $1 output y $0"), [18]);
    let text = format!("model m streams 3 {{ input $0 x : f32[5] layer0 encodings [f32] {layer} {call} output y $1 }}");
    assert_eq!(laws(&verify_model(&text.parse::<Model>().unwrap())), [17]);
    let broken = layer.replace("mul %0, %1 : f32[2]", "mul %0, %1 : f32[3]");
    let text =
        format!("model m streams 3 {{ input $0 x : f32[2] layer0 encodings [f32] {broken} {call} output y $1 }}");
    assert_eq!(laws(&verify_model(&text.parse::<Model>().unwrap())), [7, 7]);
}
