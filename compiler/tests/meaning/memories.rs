//! Layers that attend to the memory of an encoder, whose rows are those of the input from the second on.

use super::{ROWS, close, run_model};

const MODEL: &str = "version: 1
model: m
sizes: {d: 4}
inputs: {x: \"[d]\", t: int}
use: [layer.seq]
weights: {random: 1}
encoder:
  inputs: {m: \"[d]\", u: int}
  stack: [same: {}]
stack: [thing: {}]
";

const SAME: &str = "layer same(m: [d]) -> [d] { m }\n";

/// Mean of the first `n` rows of the memory.
fn mean(n: usize) -> Vec<f64> {
    let rows = &ROWS[1..=n.min(3)];
    (0..4)
        .map(|i| rows.iter().map(|row| row.0[i]).sum::<f64>() / rows.len() as f64)
        .collect()
}

fn run(name: &str, body: &str) -> Vec<Vec<f64>> {
    let layer = format!("{SAME}layer thing(x: [d], memory: [d], u: int) -> [d] {{\n{body}\n}}\n");
    run_model(name, MODEL, &[("layer.seq", &layer)], &ROWS)
}

#[test]
fn tokens_see_all_rows_that_a_mask_lets_them_see() {
    let of = |options: &str| {
        let body =
            format!("  q = reshape(0 * x, 1, d)\n  k = reshape(memory, 1, d)\n  flatten(attend(q, k, k{options}))");
        run(&format!("memory{}", options.len()), &body)
    };
    close("all rows", &of(""), &vec![mean(3); 4]);
    close("causal says nothing", &of("; causal = true"), &vec![mean(3); 4]);
    let aligned: Vec<Vec<f64>> = (0..4).map(|i| mean(i + 1)).collect();
    close("aligned", &of("; where (i, j) = j <= i"), &aligned);
    // Streams of rows, and those of tokens.
    let second = ROWS[2].0.to_vec();
    close(
        "by a stream",
        &of("; where (i, j) = j > 0 && u[j] == 2"),
        &vec![second; 4],
    );
}

/// What is computed of rows is the same in the layer and in the encoder: recurrences, filters, positions.
#[test]
fn rows_are_computed_in_the_layer_as_in_the_encoder() {
    let rows = "  h: [d] = 0.5 * prev(h) + m\n  w[d, k] = (k + 1) * (d + 1)\n  c = causal_conv(h, w)\n  k = rope(reshape(c, 1, d))\n";
    let rows = rows.replace("w[d, k]", "w[d, taps]").replace("(k + 1)", "(taps + 1)");
    let attend = "  q = rope(reshape(x, 1, d))\n  flatten(attend(q, k, reshape(v, 1, d); scale = 0.125, where (i, j) = j <= i + 1))\n";
    let inside = format!(
        "{SAME}layer thing(x: [d], memory: [d]) -> [d] {{\n  dim taps = 2\n  m = memory\n{rows}  v = h\n{attend}}}\n"
    );
    let encoder = format!("layer same(m: [d]) -> [d] {{\n  dim taps = 2\n{rows}  h\n}}\n");
    let before = format!("{encoder}layer thing(x: [d], k: [1, d], memory: [d]) -> [d] {{\n  v = memory\n{attend}}}\n");
    let found = run_model("rows-inside", MODEL, &[("layer.seq", &inside)], &ROWS);
    let model = MODEL.replace("[same: {}]", "[{same: {}, tap: {k: k}}]");
    let wanted = run_model("rows-before", &model, &[("layer.seq", &before)], &ROWS);
    close("rows", &found, &wanted);
}

/// A layer does not know which sequence its argument is of.
#[test]
fn the_same_layer_attends_to_earlier_tokens() {
    let layer = "layer thing(x: [d], memory: [d]) -> [d] {\n  q = reshape(0 * x, 1, d)\n  k = reshape(memory, 1, d)\n  flatten(attend(q, k, k))\n}\n";
    let model = super::MODEL.replace("thing: {}", "{thing: {}, in: {memory: x}}");
    let found = run_model("memory-of-tokens", &model, &[("layer.seq", layer)], &ROWS);
    let mean = |n: usize| {
        (0..4)
            .map(|i| ROWS[..=n].iter().map(|row| row.0[i]).sum::<f64>() / (n + 1) as f64)
            .collect()
    };
    close("earlier tokens", &found, &(0..4).map(mean).collect::<Vec<Vec<f64>>>());
}
