//! What is wrong about entries that run at some tokens only.

use super::{MODEL, body};

/// Name of the snapshot, layer file and model.
pub(super) fn cases() -> Vec<(&'static str, String, String)> {
    let layer = body("  on = x[0] > 0\n  two = reshape(x, 2, d / 2)\n  flatten(two)");
    let of = |name, entry: &str| {
        let entries = format!("thing: {{}}\n    tap: {{on: on, two: two}}\n  - norm: {{}}\n{entry}");
        (name, layer.clone(), MODEL.replace("thing: {}", &entries))
    };
    let encoder = "encoder:\n  inputs: {s: \"[d]\"}\n  stack:\n    - norm: {}\n      when: every(2)\nstack:";
    vec![
        of("when-expression", "    when: on > 0"),
        of("when-unknown", "    when: off"),
        of("when-tensor", "    when: two"),
        of("when-no-segment", "    when: every(d - 8)"),
        of("when-otherwise", "    when: on\n    otherwise: held"),
        of("when-alone", "    otherwise: hold"),
        of(
            "when-pass",
            "  - linear_projection: {width: 4}\n    when: every(2)\n    otherwise: pass",
        ),
        of(
            "when-inside",
            "  - when: every(2)\n    of:\n      - norm: {}\n        tap: {inner: result}\n  - norm: {}\n    when: inner",
        ),
        of("when-of-nothing", "  - when: every(2)"),
        (
            "when-policy",
            layer.clone(),
            MODEL
                .replace("weights:", "cache: {policy: snapkv}\nweights:")
                .replace("thing: {}", "attention: {heads: 2}\n    when: every(2)"),
        ),
        ("when-encoder", layer.clone(), MODEL.replace("stack:", encoder)),
    ]
}
