//! Layers that attend to the same keys and values under the same policy: one cache, from which each reads what its own queries see.

use seqc_tests::{
    command,
    program::{Program, Way, built, fresh_file, json, list},
    rows::Rows,
    scratch,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// max |difference| / max |reference| of a program in f32.
const TOLERANCE: f32 = 2e-4;

const LAYER: &str = "/// Cross attention to the keys and values of an earlier layer.
layer cross(x: [d], k: [g, e], v: [g, e]; heads) -> [d] {
  param q_proj[heads*e, d], o_proj[d, heads*e]
  q = reshape(q_proj @ x, heads, e)
  o_proj @ flatten(attend(q, k, v; scale = e ** -0.5))
}
";
const MODEL: &str = "version: 1
model: shared
use: [cross.seq]
sizes: {d: 32, vocab: 48}
weights: {random: 5}
cache: [{POLICY}]
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
  - attention: {heads: 4, kv_heads: 2}
    tap: {keys: k, values: v}
  - repeat: 2
    of:
      - cross: {heads: 4}
        in: {k: keys, v: values}
      - swiglu: {hidden: 48}
  - head: {vocab: vocab}
    block: final_norm
";

/// A model of three attentions under a policy, in a folder of its own.
fn model(name: &str, policy: &str) -> PathBuf {
    let dir = scratch(&format!("shared-caches-{name}"));
    fs::write(dir.join("cross.seq"), LAYER).expect("a layer");
    let path = dir.join("model.yaml");
    fs::write(&path, MODEL.replace("POLICY", policy)).expect("a model");
    path
}

fn inspected(model: &PathBuf) -> Value {
    let words: [PathBuf; 5] = [
        "inspect".into(),
        model.into(),
        "--json".into(),
        "--context".into(),
        "1k".into(),
    ];
    json(command::seqc(&words).ok())
}

fn tokens() -> Vec<i64> {
    (0..170).map(|n| (n * n * 7 + n * 3) % 48).collect()
}

fn logits(program: &Program, chunks: &str, threads: &str) -> Rows {
    let (out, ids) = (fresh_file("safetensors").display().to_string(), list(&tokens()));
    let words = [
        "logits",
        "--tokens",
        &ids,
        "--prompt-length",
        "120",
        "--chunk",
        chunks,
        "--threads",
        threads,
        "-o",
        &out,
    ];
    program.run(&words.map(str::to_owned)).ok();
    Rows::read(out.as_ref(), "logits")
}

/// Under a policy by which all entries stay, the three attentions have one cache, and the numbers are those of three.
#[test]
fn layers_share_a_cache_under_a_policy() {
    for (name, policy) in [
        ("int8", "policy: int8"),
        ("quest", "policy: quest, page: 4, budget: 16"),
        ("longmem", "policy: longmem, local: 16, size: 4, few: 3"),
    ] {
        let path = model(name, policy);
        let found = inspected(&path);
        let caches = found["caches"].as_array().expect("caches");
        assert_eq!(caches.len(), 1, "{name}: {caches:?}");
        assert_eq!(caches[0]["readers"].as_array().map(Vec::len), Some(2), "{name}");
        let out = fresh_file("safetensors");
        let words: [PathBuf; 8] = [
            "eval".into(),
            path.clone(),
            "--tokens".into(),
            list(&tokens()).into(),
            "--prompt-length".into(),
            "120".into(),
            "-o".into(),
            out.clone(),
        ];
        command::seqc(&words).ok();
        let expected = Rows::read(&out, "logits");
        let program = built(&format!("shared-caches-{name}"), || path.clone());
        for (chunks, threads) in [("170", "1"), ("170", "2"), ("1", "1"), ("7,64,1", "2")] {
            let off = logits(&program, chunks, threads).relative(&expected);
            assert!(
                off <= TOLERANCE,
                "{name}, chunks {chunks}, {threads} threads: off by {off:e}"
            );
        }
        check_saved(name, &program);
    }
}

/// What is saved of three layers is one cache, and another run goes on from it.
fn check_saved(name: &str, program: &Program) {
    let (save, all) = (fresh_file("state"), tokens());
    let whole = program.logits(&all, Way::default());
    let begin = Way {
        save: Some(&save),
        ..Way::default()
    };
    let first = program.logits(&all[..90], begin);
    let goes_on = Way {
        load: Some(&save),
        ..Way::default()
    };
    let found = first.then(&program.logits(&all[90..], goes_on));
    let off = found.relative(&whole);
    assert!(off <= TOLERANCE, "{name}, saved: off by {off:e}");
}

/// Caches that are not shared say why.
#[test]
fn a_cache_of_its_own_has_a_reason() {
    for (name, policy, why) in [
        (
            "h2o",
            "policy: h2o",
            "entries leave while the tokens of a chunk are read",
        ),
        (
            "kivi",
            "policy: kivi",
            "entries are coded after tokens have seen them as they were",
        ),
        ("one-type", "on: 1, type: f16", "numbers are stored in another type"),
        (
            "one-policy",
            "on: [1, 2], policy: int8",
            "another policy says what is kept",
        ),
    ] {
        let found = inspected(&model(name, policy));
        assert_eq!(
            found["caches"][1]["beside"],
            json!({"name": "c0", "reason": why}),
            "{name}: {}",
            found["caches"]
        );
    }
}
