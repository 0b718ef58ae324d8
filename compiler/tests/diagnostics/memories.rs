//! What is wrong about encoders, and about layers that read their memory.

use super::MODEL;

/// A model whose layer reads the memory of an encoder of vectors.
fn model(from: &str, to: &str) -> String {
    let encoder = "encoder:\n  inputs: {s: \"[d]\"}\n  stack:\n    - norm: {}\nstack:";
    let whole = MODEL.replace("stack:", encoder);
    let changed = whole.replace(from, to);
    assert!(from.is_empty() || changed != whole, "{from}");
    changed
}

/// Name of the snapshot, layer file and model.
pub(super) fn cases() -> Vec<(&'static str, String, String)> {
    let of = |name, text: &str| {
        let layer = format!("layer thing(x: [d], memory: [d]) -> [d] {{\n{text}\n}}\n");
        (name, layer, model("", ""))
    };
    let attends = "layer thing(x: [d], memory: [d]) -> [d] {\n  q = reshape(x, 1, d)\n  k = reshape(memory, 1, d)\n  flatten(attend(q, k, k))\n}\n";
    vec![
        of("memory-mismatch", "  x + memory"),
        of("memory-result", "  memory"),
        of("memory-hold", "  x + hold(memory)"),
        of("memory-traced", "  trace m = memory\n  x"),
        of(
            "memory-queries",
            "  q = reshape(memory, 1, d)\n  k = reshape(x, 1, d)\n  flatten(attend(q, k, k))",
        ),
        of(
            "memory-key-stream",
            "  q = reshape(x, 1, d)\n  k = reshape(memory, 1, d)\n  g = x[0]\n  flatten(attend(q, k, k; where (i, j) = g[j] > 0))",
        ),
        (
            "memory-unread",
            "layer thing(x: [d]) -> [d] { x }\n".to_owned(),
            model("", ""),
        ),
        (
            "memory-tapped",
            attends.to_owned(),
            model("thing: {}", "thing: {}\n    tap: {m: k}"),
        ),
        (
            "memory-policy",
            attends.to_owned(),
            model("weights:", "cache: {policy: streaming}\nweights:"),
        ),
        (
            "memory-two-inputs",
            attends.to_owned(),
            model("s: \"[d]\"", "x: \"[d]\""),
        ),
        (
            "memory-named-twice",
            attends.to_owned(),
            model("s: \"[d]\"", "memory: \"[d]\""),
        ),
        (
            "memory-no-stack",
            attends.to_owned(),
            model("  stack:\n    - norm: {}\n", "  stak: []\n"),
        ),
    ]
}
