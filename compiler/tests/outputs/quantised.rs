//! `seqc quantise`: which tensors get which types, and what the importance of a text gains.

use super::{folder, ok, read, refused, write};
use std::path::Path;

/// Reads the quantised weights.
const QUANTISED: &[&str] = &["--set", "weights.file=m.gguf"];

/// What `m.yaml` gives for some tokens.
fn logits(dir: &Path, tokens: &str, set: &[&str]) -> Vec<f32> {
    let words = ["eval", "m.yaml", "--tokens", tokens, "-o", "y.st"];
    ok(dir, &[&words, set].concat());
    let file = seqc_checkpoint::Checkpoint::open(dir.join("y.st")).unwrap_or_else(|e| panic!("{e}"));
    file.get("logits").and_then(|y| y.to_f32().ok()).unwrap_or_default()
}

/// Each matrix has the type that was asked for, or a similar one where its rows are no whole blocks of that; what the model computes
/// stays near.
#[test]
fn checkpoints_are_quantised() {
    let dir = folder("quantised");
    let model = "version: 1
model: m
sizes: {d: 256, vocab: 64}
weights: {file: m.safetensors}
stack:
  - embed: {vocab: vocab}
  - swiglu: {hidden: 96}
    block: {pre_norm: {eps: 1e-5}}
  - moe: {hidden: 64, experts: 2, chosen: 1}
    load: {gate_proj: \"experts.{0..2}.gate\"}
  - head: {vocab: vocab}
";
    write(&dir.join("m.yaml"), model);
    ok(&dir, &["init", "m.yaml", "-o", "m.safetensors"]);
    write(&dir.join("rules.yaml"), "\"embed*\": q8_0\n\"*up_proj\": bf16\n");
    let words = [
        "quantise",
        "m.yaml",
        "--type",
        "q4_k",
        "--rules",
        "rules.yaml",
        "--force",
        "-o",
        "m.gguf",
    ];
    let (_, said) = ok(&dir, &words);
    assert!(said.contains("10 tensors quantised"), "{said}");
    let (found, _) = ok(&dir, &["inspect", "m.yaml", "--set", "weights.file=m.gguf"]);
    let types = [
        "embed.weight [64, 256] q8_0",
        "swiglu.gate_proj [96, 256] q4_k",
        "swiglu.up_proj [96, 256] bf16",
        "swiglu.down_proj [256, 96] q5_0",
        "swiglu.pre_norm.weight [256] f32",
        // A stack of two tensors.
        "moe.gate_proj [2, 64, 256] q4_k from experts.0.gate",
        "head.weight [64, 256] q4_k",
    ];
    for line in types {
        assert!(found.contains(line), "{line} in\n{found}");
    }
    let (full, small) = (logits(&dir, "1,2,3", &[]), logits(&dir, "1,2,3", QUANTISED));
    let square = |numbers: Vec<f32>| numbers.iter().map(|x| x * x).sum::<f32>();
    let off = square(full.iter().zip(&small).map(|(a, b)| a - b).collect());
    assert!(off < 0.01 * square(full), "off by {off}");
    write(&dir.join("rules.yaml"), "\"embd*\": q8_0\n");
    let said = refused(&dir, &words);
    assert!(said.contains("`embd*` fits no matrix"), "{said}");
    write(&dir.join("rules.yaml"), "\"embed*\": q8\n");
    let said = refused(&dir, &words);
    assert!(
        said.contains("rules.yaml:1:11") && said.contains("no type `q8`"),
        "{said}"
    );
}

/// Scales that are searched with the mean squares of what is multiplied in a text serve that text better.
#[test]
fn importance_of_a_text_lowers_its_error() {
    let dir = folder("importance");
    let model = "version: 1
model: m
sizes: {d: 256, vocab: 64}
weights: {file: m.safetensors}
stack:
  - embed: {vocab: vocab}
  - swiglu: {hidden: 512}
    block: {pre_norm: {eps: 1e-5}}
  - head: {vocab: vocab}
";
    write(&dir.join("m.yaml"), model);
    ok(&dir, &["init", "m.yaml", "-o", "m.safetensors"]);
    write(&dir.join("rules.yaml"), "\"embed*\": bf16\n");
    let whole = logits(&dir, "5", &[]);
    let words = [
        "quantise",
        "m.yaml",
        "--type",
        "q3_k",
        "--rules",
        "rules.yaml",
        "--force",
        "-o",
        "m.gguf",
    ];
    let off = |more: &[&str]| {
        ok(&dir, &[&words, more].concat());
        let found = logits(&dir, "5", QUANTISED);
        whole.iter().zip(&found).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
    };
    let plain = off(&[]);
    write(&dir.join("tokens.json"), "{\"tokens\": [5, 5]}");
    let weighted = off(&["--importance", "tokens.json"]);
    assert!(weighted < 0.9 * plain, "{weighted} after {plain}");
    for (tokens, says) in [
        ("[64]", "ids from 0 to 63"),
        ("{\"text\": 1}", "a list of tokens is expected"),
        ("[]", "a list"),
    ] {
        write(&dir.join("tokens.json"), tokens);
        let said = refused(&dir, &[&words[..], &["--importance", "tokens.json"]].concat());
        assert!(said.contains(says), "{tokens}: {said}");
    }
}

/// Products of an encoder are weighted by the source that it reads.
#[test]
fn importance_of_a_source_is_that_of_the_encoder() {
    let dir = folder("importance-of-a-source");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/checkpoints/t5");
    let model = model.to_string_lossy();
    let quantised = |tokens: &str| {
        write(&dir.join("tokens.json"), tokens);
        let words = [
            "quantise",
            &model,
            "--type",
            "q4_0",
            "--importance",
            "tokens.json",
            "--force",
            "-o",
            "m.gguf",
        ];
        ok(&dir, &words);
        read(&dir.join("m.gguf"))
    };
    let first = quantised(r#"{"tokens": [0, 5], "source": [3, 4, 5, 6]}"#);
    assert_ne!(first, quantised(r#"{"tokens": [0, 5], "source": [9, 10]}"#));
    assert_eq!(first, quantised(r#"{"tokens": [0, 5], "source": [3, 4, 5, 6]}"#));
    write(&dir.join("tokens.json"), "[0, 5]");
    let words = [
        "quantise",
        &model,
        "--type",
        "q4_0",
        "--importance",
        "tokens.json",
        "-o",
        "n.gguf",
    ];
    let said = refused(&dir, &words);
    assert!(said.contains("no list `source`"), "{said}");
}
