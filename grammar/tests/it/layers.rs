//! Layer files: trees and messages.

use crate::{
    show,
    support::{layer_texts, render, snapshot},
};
use seqc_grammar::{FileId, ast::ExprKind, parse_expr, parse_file};

const FILE: FileId = FileId(0);

#[test]
fn layers_of_the_project_are_read_without_a_word() {
    let texts = layer_texts();
    assert!(texts.len() > 30, "the layers were not found");
    for (name, text) in texts {
        let (file, problems) = parse_file(FILE, &text);
        assert!(problems.is_empty(), "{name}\n{}", render(&text, &problems));
        assert!(!file.items.is_empty(), "{name}");
    }
}

fn tree(text: &str) -> String {
    let (expr, problems) = parse_expr(FILE, text, 0);
    assert!(problems.is_empty(), "{text}\n{}", render(text, &problems));
    show::expr(&expr)
}

#[test]
fn operators_bind_as_the_reference_says() {
    for (text, wanted) in [
        (
            "a || b && c == d + e * -f ** g",
            "(a Or (b And (c Eq (d Add (e Mul (-(f Pow g)))))))",
        ),
        ("a - b - c", "((a Sub b) Sub c)"),
        ("2 ** 3 ** 4", "(2 Pow (3 Pow 4))"),
        ("-x ** 2", "(-(x Pow 2))"),
        ("hd ** -0.5 * q", "((hd Pow (-0.5)) Mul q)"),
        ("!a && b", "((!a) And b)"),
        ("- -x", "(-(-x))"),
        ("W @ x / y % z", "(((W MatMul x) Div y) Mod z)"),
        ("1 - if a then b else c + d", "(1 Sub (if a then b else (c Add d)))"),
        (
            "if a then b else if c then d else e",
            "(if a then b else (if c then d else e))",
        ),
        ("(a + b) * c", "((a Add b) Mul c)"),
        ("x[i, j + 1][k]", "x[i, (j Add 1)][k]"),
        ("sum(i, k < 4: x[i, k])", "sum(i, k < 4: x[i, k])"),
        ("max(a, b)", "max(a, b)"),
        ("f(; n = 1)", "f(n = 1)"),
        ("f(x, y; a = 1; b = 2,)", "f(x, y, a = 1, b = 2)"),
        (
            "f(g(i, j) == 1, where (i, j) = i < j)",
            "f((g(i, j) Eq 1), where (i, j) = (i Lt j))",
        ),
        ("[1, 2.5, \"full\", inf, true]", "[1, 2.5, \"full\", inf, true]"),
        ("1e-5 + .5 + 1.", "((0.00001 Add 0.5) Add 1)"),
    ] {
        // A condition on the right of an operator stands in brackets.
        let text = text.replace("1 - if a then b else c + d", "1 - (if a then b else c + d)");
        assert_eq!(tree(&text), wanted, "{text}");
    }
}

#[test]
fn places_are_those_of_the_text() {
    let text = "  alpha + beta(x; width = 3)";
    let (expr, _) = parse_expr(FILE, text, 100);
    assert_eq!((expr.span.start, expr.span.end), (102, 128));
    let ExprKind::Binary(_, _, call) = &expr.kind else {
        panic!("{expr:?}")
    };
    let ExprKind::Call { named, .. } = &call.kind else {
        panic!("{call:?}")
    };
    assert_eq!((named[0].name.span.start, named[0].value.span.end), (118, 127));
}

#[test]
fn a_tree_has_everything_that_was_written() {
    let text = "\
// A file.

/// Does nothing
/// twice.
layer all(x: [d, 2*e], t: int, m: int[n]; a, b = a / 2, c = \"s\") -> [d] {
  dim e = expand * d
  param w[e, d], s,
        b[e]
  y: [e] = w @ x   // the product
  h[e, n] = prev(h)[e, n] +
    sum(k: w[e, k])
  (a, b) = split(y, e,
                 e)

  o = attend(q, k, v; scale = 1, where (i, j) = i - j < window, score (s, i, j) = s)
  a
}
block around(x: [d], inner: layer) { x + inner(x) }
fn f(; n) {
  g =
    n
  (if n > 1 then g
   else 1)
}
";
    let (file, problems) = parse_file(FILE, text);
    assert!(problems.is_empty(), "{}", render(text, &problems));
    snapshot("tree", text, &show::file(&file));
}

/// A cache has statements and clauses in any order, and no result.
#[test]
fn caches_are_statements_and_clauses() {
    let text = "/// The newest, and the best.
cache best(; few = 4, recent) {
  dim all = few + recent
  keep(age < recent || top(mass; k = few); at = ended)
  mass = prev(mass; init = 0) + weight
  use[c] = mean(queries < 2: query[c] ** 2) * mean(entries: key[c])
  keys(channels = use, count = 2, until = n - all)
}
cache none() { see(j < 4) }
";
    let (file, problems) = parse_file(FILE, text);
    assert!(problems.is_empty(), "{}", render(text, &problems));
    snapshot("tree_of_caches", text, &show::file(&file));
}

/// Every mistake of a file, each as small as can be.
const MISTAKES: &[(&str, &str)] = &[
    (
        "several",
        "layer a(x: [d]) -> [d] {\n  y = x +\n  z = (x * 2\n  w = x ^ 2\n  dim = 3\n  param p[d, q[d]\n  v = f(x,\n        y) y\n  x\n}\n\
         layr b(x: [d]) { x }\nlayer c(x: [d]) { x }\n",
    ),
    (
        "header",
        "layer a(x: [d], n = 16) -> [d] {\n  y = )\n  x\n}\nlayer b(x; n) { x }\nlayer (x: [d]) { x }\nfn g(a; b: [d]) { a }\n",
    ),
    ("no_brace", "layer a(x: [d]) {\n  y = x\n  y\n\nlayer b(x: [d]) { x }\n"),
    ("no_result", "layer a(x: [d]) {\n  y = x\n}\n"),
    (
        "type",
        "layer a(x: [d]) {\n  c: int = prev(c) + 1\n  y: d = x\n  y\n}\n",
    ),
    ("stray", "layer a(x: [d]) {\n  x + 1\n  x\n}\n"),
    ("string", "layer a(x: [d]; s = \"half) {\n  x\n}\n"),
    (
        "other_languages",
        "fn f(x) {\n  a = x and x\n  b = x ? 1 : 2\n  c = 'half'\n  e = x.y\n  g = 1 < x < 3\n  h = if x = 1 then 2 else 3\n  return x\n}\n",
    ),
    (
        "loops",
        "fn f(x) {\n  for i in range(4):\n    y = x\n  for (i = 0; i < 4; i++) {\n    z = x;\n  }\n  while x > 0: w = x\n  for = 3\n  x\n}\nfn g(x) { x }\n",
    ),
    (
        "indices",
        "fn f(x) {\n  y[i + 1] = x[i]\n  z = sum(i * 2: x[i])\n  w = silu(i: x[i])\n  v = f(a = 1, x)\n  u = 1e999\n  x\n}\n",
    ),
    ("lines", "fn f(x) {\n  y = if x then 1\n      else 2\n  y\n}\n"),
    (
        "twice",
        "layer f(x: [d], x: [d]; n = 4, n = 5, x = 1) -> [d] {\n  clamp(x; low = 0, low = 1)\n}\n",
    ),
    (
        "caches",
        "cache a(x: [d]; n) {\n  keep(age < n)\n}\ncache b() -> [d] { keep(age < 4) }\ncache c() {\n  param w\n  age < 4\n  keep(age < )\n}\n",
    ),
    ("two_statements", "fn f(x) {\n  y = x z = y\n  2x\n}\n"),
];

#[test]
fn mistakes_are_all_reported_at_their_places() {
    for (name, text) in MISTAKES {
        let (file, problems) = parse_file(FILE, text);
        assert!(!problems.is_empty(), "{name}");
        let shown = format!("{}\n{}", render(text, &problems), show::file(&file));
        snapshot(&format!("mistake_{name}"), text, &shown);
    }
}
