//! What `seqc explain` prints about recurrences: their form, and whether the state is in registers or in memory.

use std::{fs, path::Path, process::Command};

/// A layer of the tests that compare programs with the evaluator.
fn tested(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/layers/{name}.seq"));
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A model of one layer whose state has `n` rows of 64 entries.
fn explained(n: usize) -> String {
    let layer = "
layer remembers(x: [d]; n = 16) -> [d] {
  param a[d, n]
  h[d, n] = exp(-exp(a[d, n])) * prev(h)[d, n] + x[d]
  y[d] = sum(n: h[d, n])
  y
}
";
    explain(&n.to_string(), layer, &format!("remembers: {{n: {n}}}"), 64)
}

/// What is said about a model of one layer, of the library or of a file, with inputs of `d` numbers.
fn explain(name: &str, layers: &str, entry: &str, d: usize) -> String {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain").join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    let model = format!(
        "version: 1\nmodel: m\nsizes: {{d: {d}}}\nuse: [layer.seq]\ninputs: {{x: \"[d]\"}}\nweights: {{random: 1}}\nstack:\n  \
         - {entry}\n    block: none\n"
    );
    let file = dir.join("model.yaml");
    for (path, text) in [(dir.join("layer.seq"), layers), (file.clone(), &model)] {
        fs::write(path, text).unwrap_or_else(|e| panic!("{e}"));
    }
    let output = Command::new(env!("CARGO_BIN_EXE_seqc"))
        .arg("explain")
        .arg(&file)
        .output();
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_state_is_said_to_be_where_the_code_keeps_it() {
    // Half of the registers: 8 of 8 lanes, 16 of 16.
    let few = explained(1);
    assert!(
        few.contains("blocks of 32 entries along axis 0, block of the state in registers;"),
        "{few}"
    );
    let some = explained(4);
    assert!(
        some.contains(
            "in memory (512 bytes) (x86-64-v4: blocks of 32 entries along axis 0, block of the state in registers)"
        ),
        "{some}"
    );
    let many = explained(16);
    assert!(
        many.contains("block of the state in memory (2048 bytes); 4096 bytes of state"),
        "{many}"
    );
    assert!(
        [few, some, many]
            .iter()
            .all(|said| said.contains("not materialised per token"))
    );
}

#[test]
fn every_form_is_listed_with_its_cost_or_the_reason_against_it() {
    let said = explained(8);
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    for line in [
        "fused scan: 1024, chosen",
        "fused scan up to the first reductions: 1152, not tried, an earlier form applies",
        "scan with the state stored for every token: 2048, not tried, an earlier form applies",
        "token loop, entries in parallel: 2899, not tried, an earlier form applies",
        "chunked WY form: not applicable, decay, key or query depend on the value axis",
    ] {
        assert!(lines.contains(&line), "{line}\n{said}");
    }
}

#[test]
fn operations_are_those_of_the_next_state() {
    // A product and a sum for each of 64 x 16 entries; the decay is computed when weights are loaded.
    let said = explained(16);
    assert!(
        said.contains("about 2048 operations per token; 8192 bytes of state read and written"),
        "{said}"
    );
}

#[test]
fn generalised_delta_rules_are_named() {
    let cases = [
        (
            "kda",
            "kda: {heads: 2}",
            "chunked WY form, a decay for each key, blocks of ",
        ),
        (
            "rwkv7",
            "rwkv7: {heads: 2}",
            "chunked WY form, a decay for each key, 2 writes a token, 1 of them corrected, blocks of ",
        ),
        (
            "delta_product",
            "delta_product: {heads: 2, steps: 3}",
            "chunked WY form, 3 writes a token, 3 of them corrected, blocks of ",
        ),
    ];
    for (name, entry, form) in cases {
        let said = explain(name, "", entry, 256);
        let chosen = said.lines().find(|line| line.contains("chosen: for chunks of"));
        assert!(chosen.is_some_and(|line| line.contains(form)), "{form}\n{said}");
    }
    let twice = "
layer twice(x: [d]; heads = 2) -> [d] {
  dim hd = d / heads
  dim vd = hd
  k = reshape(x, heads, hd) / hd
  v = reshape(x, heads, vd)
  old[heads, vd]   = sum(hd: k[heads, hd] * prev(S)[heads, hd, vd])
  S[heads, hd, vd] = prev(S)[heads, hd, vd] + k[heads, hd] * (v[heads, vd] - old[heads, vd])
  o[heads, vd]     = sum(hd: k[heads, hd] * S[heads, hd, vd]) * sigmoid(sum(hd: v[heads, hd] * S[heads, hd, vd]))
  flatten(o)
}
";
    let said = explain("twice", twice, "twice: {}", 256);
    assert!(said.contains("chunked WY form, 2 reads a token, blocks of "), "{said}");
    // A state that is normalised after each token.
    let normalised = "
layer normalised(x: [d]; heads = 2) -> [d] {
  dim hd = d / heads
  dim vd = hd
  k = reshape(x, heads, hd)
  v = reshape(x, heads, vd)
  old[heads, vd]   = sum(hd: k[heads, hd] * prev(S)[heads, hd, vd])
  S[heads, hd, vd] = tanh(prev(S)[heads, hd, vd] + k[heads, hd] * (v[heads, vd] - old[heads, vd]))
  o[heads, vd]     = sum(hd: k[heads, hd] * S[heads, hd, vd])
  flatten(rms_rows(o; eps = 1e-5))
}
";
    let said = explain("normalised", normalised, "normalised: {}", 256);
    let reason = "chunked WY form: not applicable, the next state is not a decay per head or key times the state plus outer products of keys and \
                  values, at most 8";
    assert!(said.contains(reason), "{said}");
}

#[test]
fn how_a_layer_is_written_does_not_cost_it_its_form() {
    let cases = [
        ("single_memory", "for chunks of 3 tokens or more chunked WY form"),
        ("second_order", "fused scan"),
        ("turning_average", "fused scan"),
    ];
    for (name, form) in cases {
        let said = explain(name, &tested(name), &format!("{name}: {{}}"), 64);
        assert!(said.contains(&format!("chosen: {form}")), "{said}");
    }
    let one = explain("one_head", "", "gated_deltanet: {heads: 1, hd: 64}", 64);
    assert!(one.contains("or more chunked WY form"), "{one}");
    let name = "axes_in_any_order";
    let turned = explain(name, &tested(name), &format!("{name}: {{}}"), 256);
    assert!(turned.contains("recurrence S [2, 128, 64]"), "{turned}");
    assert!(turned.contains("or more chunked WY form"), "{turned}");
    let name = "chained_memories";
    let chained = explain(name, &tested(name), &format!("{name}: {{}}"), 64);
    for states in ["M [2, 16, 32], S [2, 16, 32]", "m [64], w [64], n [64]", "z [64]"] {
        let said = chained
            .split("  recurrence ")
            .find(|text| text.starts_with(&format!("{states}: ")));
        assert!(
            said.is_some_and(|text| text.contains("chosen: fused scan")),
            "{states}: {chained}"
        );
    }
}
