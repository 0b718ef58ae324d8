//! Entries that run at some tokens only: what layers inside see, and what is seen of them.

use super::{ROWS, close, run_model};

const LAYERS: &str = "layer sums(x: [d], t: int) {
  h: [d] = prev(h) + x
  last = t > 1
  h + position() + t
}
layer bounds(x: [d], t: int) {
  on = t > 1
  trace on = on
  x
}
layer same(x: [d]) { x }
layer both(x: [d], m: [d]) { x + m }
";

fn stack(name: &str, entries: &str) -> Vec<Vec<f64>> {
    let head = "version: 1\nmodel: m\nsizes: {d: 4}\ninputs: {x: \"[d]\", t: int}\nuse: [layer.seq]\nweights: {random: 1}\nstack:\n";
    run_model(name, &format!("{head}{entries}"), &[("layer.seq", LAYERS)], &ROWS)
}

/// Sums of the rows with these numbers, their count and the integer of the last one added.
fn sums(rows: &[usize]) -> Vec<f64> {
    let Some(last) = rows.last() else {
        return vec![0.0; 4];
    };
    let added = (rows.len() - 1) as f64 + ROWS[*last].1 as f64;
    (0..4)
        .map(|i| rows.iter().map(|row| ROWS[*row].0[i]).sum::<f64>() + added)
        .collect()
}

fn row(n: usize) -> Vec<f64> {
    ROWS[n].0.to_vec()
}

#[test]
fn ticks_are_all_tokens_to_the_layers_inside() {
    let every = |otherwise: &str| {
        let name = format!("every{otherwise}");
        stack(&name, &format!("  - sums: {{}}\n    when: every(2)\n{otherwise}"))
    };
    close("held", &every(""), &[sums(&[]), sums(&[1]), sums(&[1]), sums(&[1, 3])]);
    close(
        "zero",
        &every("    otherwise: zero\n"),
        &[sums(&[]), sums(&[1]), sums(&[]), sums(&[1, 3])],
    );
    close(
        "pass",
        &every("    otherwise: pass\n"),
        &[row(0), sums(&[1]), row(2), sums(&[1, 3])],
    );
}

#[test]
fn data_decide_and_parts_lie_within_parts() {
    let tapped = "  - bounds: {}\n    tap: {on: on}\n";
    let found = stack("data", &format!("{tapped}  - sums: {{}}\n    when: on\n"));
    close(
        "data",
        &found,
        &[sums(&[]), sums(&[1]), sums(&[1, 2]), sums(&[1, 2, 3])],
    );
    // Every second tick of those, within two entries that run at these.
    let inner =
        "  - when: on\n    of:\n      - same: {}\n      - sums: {}\n        when: every(2)\n        otherwise: pass\n";
    let found = stack("inner", &format!("{tapped}{inner}"));
    close("inner", &found, &[vec![0.0; 4], row(1), sums(&[2]), row(3)]);
    // A tap of the inner part is held at every token, and is read in a later part of another clock.
    let tap = "  - when: on\n    of:\n      - when: every(2)\n        of:\n          - sums: {}\n            tap: {m: result}\n  - both: {}\n    when: every(2)\n    otherwise: zero\n";
    let found = stack("later", &format!("{tapped}{tap}"));
    let twice: Vec<f64> = sums(&[2]).iter().map(|x| 2.0 * x).collect();
    close("later", &found, &[vec![0.0; 4], vec![0.0; 4], vec![0.0; 4], twice]);
}

#[test]
fn repeats_run_at_ticks_as_one_part_or_as_many() {
    let one = "  - repeat: 2\n    when: every(2)\n    of:\n      - sums: {}\n";
    let many = "  - repeat: 2\n    of:\n      - sums: {}\n        when: every(2)\n";
    close("repeats", &stack("one", one), &stack("many", many));
    let none = "  - same: {}\n  - repeat: 0\n    when: every(2)\n    of:\n      - sums: {}\n";
    close("none", &stack("none", none), &(0..4).map(row).collect::<Vec<_>>());
}
