//! What is found of predicates, one readable line each.

use super::*;

/// The analysis of an attention of four query heads with this predicate. `q0` and `k0` are one stream, `q1` another, `k1` a
/// key's own.
fn analysis(predicate: &str) -> PairAnalysis {
    attention(&format!("where={predicate}, normalise=softmax, causal=true"), "")
}

fn attention(options: &str, on: &str) -> PairAnalysis {
    let text = format!(
        "graph a {{
        param 0 table : f32[9]
        input 0 q : f32[4, 3] input 1 k : f32[2, 3] input 2 v : f32[2, 5] input 3 document : i64 input 4 gate : f32 input 5 named : i64[4, 3]
        %0 = input(0) : f32[4, 3] %1 = input(1) : f32[2, 3] %2 = input(2) : f32[2, 5]
        %3 = input(3) : i64 %4 = input(4) : f32 %5 = param(0) : f32[9] %12 = input(5) : i64[4, 3]
        %6 = position : i64 %7 = const(8.0) : i64 %8 = mod %6, %7 : i64 %9 = const(7.0) : i64 %10 = eq %8, %9 : bool
        %11 = attend(scale=0.5, {options}, query=3, key=2, tables=1) %0, %1, %2,{on} %3, %4, %12, %3, %4, %5 : f32[4, 5]
        output y %11 }}"
    );
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(seqc_ir::verify::verify(&graph), [], "{text}");
    PairAnalysis::of(&graph, graph.outputs[0].1).expect("the output is an attention")
}

#[test]
fn a_predicate_reads_as_one_line() {
    for (predicate, line) in [
        // Windows.
        ("lt(sub(i, j), 512.0)", "keeps min(T, 512)"),
        ("lt(abs(sub(i, j)), 5.0)", "keeps min(T, 5)"),
        ("lt(min(sub(i, j), 64.0), 8.0)", "keeps min(T, 8)"),
        ("lt(max(sub(i, j), 64.0), 80.0)", "keeps min(T, 80)"),
        // First tokens, then a window.
        ("or(lt(j, 4.0), lt(sub(i, j), 2044.0))", "keeps min(T, 4 + 2044)"),
        (
            "select(lt(j, 4.0), eq(j, j), lt(sub(i, j), 7.0))",
            "keeps min(T, 4 + 7)",
        ),
        // A window for each head.
        (
            "lt(sub(i, j), mul(3.0, add(head, 1.0)))",
            "keeps min(T, 12); by head: min(T, 3), min(T, 6), min(T, 9), min(T, 12)",
        ),
        // Segments of positions and of data.
        (
            "eq(floor(div(i, 6.0)), floor(div(j, 6.0)))",
            "keeps min(T, 6); segments of 6",
        ),
        (
            "and(eq(q0, k0), lt(sub(i, j), 9.0))",
            "keeps min(T, 9); segments of one stream's values; reads query streams, key streams",
        ),
        (
            "eq(q1, k1)",
            "keeps T; segments of one stream's values; reads query streams, key streams",
        ),
        ("eq(q1, k0)", "keeps T; reads query streams, key streams"),
        // Periods.
        ("eq(mod(sub(i, j), 3.0), 0.0)", "keeps T; period 3"),
        // Keys that the query names.
        (
            "or(listed2(floor(div(j, 16.0))), lt(sub(i, j), 64.0))",
            "keeps T; sees 3 blocks of 16 keys by number, 64 last ones; reads query streams",
        ),
        (
            "or(lt(j, 4.0), eq(add(floor(div(sub(j, 8.0), 16.0)), 1.0), q0))",
            "keeps T; sees 1 block of 16 keys by number, 4 first ones; reads query streams",
        ),
        (
            "and(listed2(j), ne(k1, 0.0))",
            "keeps T; sees 3 keys by number; reads query streams, key streams",
        ),
        (
            "and(listed2(j), lt(sub(i, j), 9.0))",
            "keeps min(T, 9); reads query streams",
        ),
        ("not(listed2(j))", "keeps T; reads query streams"),
        (
            "or(listed2(j), ne(k1, 0.0))",
            "keeps T; reads query streams, key streams",
        ),
        ("listed2(mul(2.0, j))", "keeps T; reads query streams"),
        // What depends on data bounds nothing; neither does what is not affine in positions.
        ("ne(k1, 0.0)", "keeps T; reads key streams"),
        ("lt(sub(i, j), q1)", "keeps T; reads query streams"),
        ("lt(t0(sub(i, j)), 0.75)", "keeps T; reads tables"),
        ("lt(mul(sub(i, j), j), 8.0)", "keeps T"),
    ] {
        assert_eq!(analysis(predicate).to_string(), line, "{predicate}");
    }
}

#[test]
fn keys_of_a_clock_are_counted_in_ticks() {
    let of_clock = attention(
        "where=lt(sub(i, j), 9.0), normalise=softmax, causal=true, clock=keys",
        " %10,",
    );
    assert_eq!(of_clock.to_string(), "keeps min(T / 8, 9)");
}

#[test]
fn without_causality_everything_is_kept() {
    let whole = attention(
        "where=lt(sub(i, j), mul(2.0, head)), normalise=softmax, causal=false",
        "",
    );
    assert_eq!(whole.to_string(), "keeps T");
}

/// Where values are found in the keys `%2`, which are joined of `%1`, six numbers, and `%0`, four.
fn place_in_keys(values: &str, width: usize, taps: &str) -> Option<usize> {
    let (define, values) = values.rsplit_once("; ").unwrap_or(("", values));
    let text = format!(
        "graph a {{
        input 0 x : f32[1, 4] input 1 y : f32[1, 6] input 2 q : f32[3, 10]
        %10 = input(0) : f32[1, 4] %11 = input(1) : f32[1, 6] %12 = input(2) : f32[3, 10]
        %0 = tanh %10 : f32[1, 4] %1 = tanh %11 : f32[1, 6] %2 = concat(axis=1) %1, %0 : f32[1, 10] {define}
        %5 = attend(scale=0.5, normalise=softmax, causal=true) %12, %2, {values} : f32[3, {width}]
        output o %5 {taps} }}"
    );
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(seqc_ir::verify::verify(&graph), [], "{text}");
    let known = PairAnalysis::of(&graph, graph.outputs[0].1).expect("the output is an attention");
    known.values_in_keys
}

#[test]
fn values_that_are_a_part_of_the_keys_are_found() {
    for (values, width, place) in [
        // The keys themselves, pieces that they are joined of, entries of them.
        ("%2", 10, Some(0)),
        ("%1", 6, Some(0)),
        ("%0", 4, Some(6)),
        ("%3 = view(i0, i1 + 3) %2 : f32[1, 4]; %3", 4, Some(3)),
        // Other values, and entries that do not follow one another.
        ("%3 = tanh %0 : f32[1, 4]; %3", 4, None),
        ("%3 = view(i0, i1 * 2) %2 : f32[1, 4]; %3", 4, None),
        ("%3 = view(i0, i1 / 2) %2 : f32[1, 4]; %3", 4, None),
    ] {
        assert_eq!(place_in_keys(values, width, ""), place, "{values}");
    }
    // What other layers may read is kept apart.
    assert_eq!(place_in_keys("%1", 6, "output k %2"), Some(0));
    assert_eq!(place_in_keys("%1", 6, "output k %2 output v %1"), None);
}
