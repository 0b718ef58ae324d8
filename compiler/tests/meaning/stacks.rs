//! What models say of their entries.

use super::{ROWS, close, run_model};

const LAYER: &str = "layer scaled(x: [d]) {\n  param w[d]\n  w * x\n}\nlayer joined(x: [d], m: [d]) {\n  x + m\n}\nblock twice(x: [d], inner: layer) {\n  2 * inner(x)\n}\n";

fn stack(name: &str, entries: &str) -> Vec<Vec<f64>> {
    let head = "version: 1\nmodel: m\nsizes: {d: 4}\ninputs: {x: \"[d]\", t: int}\nuse: [layer.seq]\nweights: {random: 1}\nstack:\n";
    run_model(name, &format!("{head}{entries}"), &[("layer.seq", LAYER)], &ROWS)
}

#[test]
fn entries_share_parameters_and_hand_on_their_results() {
    let written_out = "  - scaled: {}\n    block: twice\n    load: {w: common.w}\n    tap: {m: result}\n  \
                       - scaled: {}\n    load: {w: common.w}\n  - scaled: {}\n    load: {w: other.w}\n  - joined: {}\n";
    let shared = "  - scaled: {}\n    params: common\n    block: [{if: true, twice: {}}, {if: false, twice: {}}]\n    tap: {m: result}\n  \
                  - repeat: 2\n    of:\n      - scaled: {}\n        params: \"{if i == 0 then \\\"common\\\" else \\\"other\\\"}\"\n  - joined: {}\n";
    close("shared", &stack("shared", shared), &stack("written_out", written_out));
}

#[test]
fn mappings_are_merged() {
    let plain = "  - scaled: {}\n    params: a\n    block: twice\n  - scaled: {}\n    params: a\n";
    let merged = "  - &base\n    scaled: {}\n    params: a\n    block: twice\n  - <<: *base\n    block: none\n";
    close("merged", &stack("merged", merged), &stack("plain", plain));
}
