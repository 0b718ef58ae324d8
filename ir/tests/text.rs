//! The text form: what it looks like, that it parses back, and what is said about text that is wrong.

use seqc_ir::{Elem, Graph, Model, Ty, verify::verify};

const GRAPH: &str = r#"graph everything {
  param 0 w : f32[e=3, d=4]
  param 1 "a table" : f32[5, 4]
  input 0 x : f32[d=4]
  input 1 t : i64
  state @0 h : f32[e=3] next %9
  %0 = input(0) : f32[d=4]  "x"
  %1 = input(1) : i64  "t"
  %2 = param(0) : f32[e=3, d=4]
  %3 = param(1) : f32[5, 4]
  %4 = gather %3, %1 : f32[4]
  %5 = mul %4, %0 : f32[d=4]  "a \"quoted\" name"
  %6 = matvec %2, %5 : f32[e=3]
  %7 = prev(@0) : f32[e=3]
  %8 = add %6, %7 : f32[e=3]
  %9 = tanh %8 : f32[e=3]  "h"
  %11 = view(i1, (i0 + 1) * 2 / 3 % 1 + -1 * -1 + i0 * 2) %2 : f32[2, 3]
  %12 = reduce(max, axes=1) %11 : f32[2]
  %13 = concat(axis=0) %12, %9 : f32[5]
  %14 = delay(steps=3) %13 : f32[5]
  %15 = reshape %14 : f32[1, 5]
  %16 = const(-1.5e-7) : f32[1, 5]
  %17 = lt %15, %16 : bool[1, 5]
  %18 = select %17, %15, %16 : f32[1, 5]
  %19 = attend(scale=0.25, where=and(lt(sub(i, j), 4.0), eq(q0, k0)), score=mul(30.0, tanh(div(s, 30.0))), normalise=softmax, causal=true, query=1, key=1) %18, %15, %15, %1, %1 : f32[1, 5]
  %20 = position : i64
  %21 = iota(axis=0) : i64[5]
  %22 = cast %21 : f32[5]
  %23 = const(inf) : f32
  %24 = window(taps=4, step=2) %12 : f32[4, 2]
  %25 = const(0.5) : f32[2, 300]
  %26 = long_conv %12, %25 : f32[2]
  output y %19
  output "a tap" %22
}
"#;

const MODEL: &str = r#"model tiny streams 3 {
  input $0 x : f32[2]
  layer0 encodings [f32] graph gate {
    param 0 w : f32[2]
    input 0 x : f32[2]
    %0 = input(0) : f32[2]  "x"
    %1 = param(0) : f32[2]  "w"
    %2 = mul %0, %1 : f32[2]
    output y %2
  }
  call layers.0.gate layer0 ($0) -> ($1) {
    param layers.0.gate.w from [w]
  }
  call layers.1.gate layer0 ($1) -> ($2) {
    param layers.1.gate.w from [a.0, "b/1"]
  }
  output y $2
}
"#;

#[test]
fn what_is_printed_parses_back() {
    let graph: Graph = GRAPH.parse().unwrap();
    assert_eq!(graph.to_string(), GRAPH);
    assert_eq!(verify(&graph), []);
    let model: Model = MODEL.parse().unwrap();
    assert_eq!(model.to_string(), MODEL);
    assert_eq!(seqc_ir::verify::verify_model(&model), []);
}

#[test]
fn numbers_with_gaps_keep_their_place() {
    let mut graph: Graph = GRAPH.parse().unwrap();
    // The text skips %10; new nodes may use it, and those that exist keep their numbers.
    let fresh = graph.constant(1.0, Ty::scalar(Elem::F32));
    assert_eq!(fresh.0, 10);
}

#[test]
fn wrong_text_is_answered_with_a_place() {
    let mut report = String::new();
    for text in [
        "",
        "graph g {",
        "graph g { %0 = nothing : f32 }",
        "graph g {\n  %0 = neg %1 : f32\n}",
        "graph g {\n  %0 = position : i64\n  %0 = position : i64\n}",
        "graph g { param 1 x : f32 }",
        "graph g { state @0 h : f64 }",
        "graph g { %0 = view(i0 +) %0 : f32 }",
        "graph g { %0 = delay(step=1) %0 : f32 }",
        "graph g { %99999999 = position : i64 }",
        "graph \"g",
        "graph \"\\q\" {}",
        "graph g { %0 = const(1.2.3) : f32 }",
        "graph g { %0 = attend(scale=1.0, where=foo(i), normalise=softmax, causal=true) : f32 }",
        "graph g { } more",
        "model m streams 0 { layer1 encodings [] graph g {} }",
        "model m streams 0 { layer0 encodings [f32, q9_z] graph g {} }",
        "model m streams 99999999 { }",
    ] {
        let error = text.parse::<Graph>().unwrap_err();
        let error = if text.starts_with("model") {
            text.parse::<Model>().unwrap_err()
        } else {
            error
        };
        report += &format!("{text:?}\n    {error}\n");
    }
    insta::assert_snapshot!(report);
}

#[test]
fn text_that_is_nested_without_end_is_refused() {
    let deep = format!(
        "graph g {{ %0 = view({}i0{}) %0 : f32 }}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    assert!(deep.parse::<Graph>().unwrap_err().message.contains("deeply"));
    let long = format!("graph g {{ %0 = view(i0{}) %0 : f32 }}", " * 2".repeat(100_000));
    assert!(long.parse::<Graph>().is_err());
    let sum = format!("graph g {{ %0 = view(i0{}) %0 : f32 }}", " + 1".repeat(100_000));
    assert!(sum.parse::<Graph>().is_err());
}

#[test]
fn no_prefix_of_a_text_does_harm() {
    for text in [GRAPH, MODEL] {
        for end in 0..text.len() {
            let _ = text[..end].parse::<Graph>();
            let _ = text[..end].parse::<Model>();
        }
    }
}
