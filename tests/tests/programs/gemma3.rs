//! A real checkpoint of several encodings, with windows: Gemma 3 270M in Q4_K_M as `seqc import` reads it, against exact arithmetic on its weights.
//!
//! `scripts/setup.sh gemma` fetches the weights; without them these tests do nothing.

use std::{fs, path::PathBuf};

use serde_json::Value;

use seqc_tests::{
    command, fixture,
    program::{self, Program, Way, integers, list},
    root,
    rows::{self, Rows},
};

/// Absolute, on logits: f32 arithmetic on the weights as the file has them.
const TOLERANCE: f32 = 1e-3;

fn gguf() -> PathBuf {
    root().join("build").join("gemma-3-270m-q4_k_m.gguf")
}

/// The program of the imported file, or `None` where that is not there.
fn gemma3() -> Option<Program> {
    if !gguf().exists() {
        eprintln!("left out: no weights of Gemma 3 (scripts/setup.sh gemma)");
        return None;
    }
    Some(program::built("gemma3-270m", || {
        let model = seqc_tests::scratch("imported").join("gemma3-270m.yaml");
        command::seqc(&[PathBuf::from("import"), gguf(), "-o".into(), model.clone()]).ok();
        model
    }))
}

fn cases(file: &str) -> Vec<Value> {
    let path = fixture::folder().join("gemma3-270m").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn name(case: &Value) -> &str {
    case["name"].as_str().unwrap_or_default()
}

/// One of the prompts is longer than the window.
#[test]
fn recorded_tokens_of_gemma3_are_generated() {
    let Some(program) = gemma3() else { return };
    for case in cases("prompts.json") {
        let expected = integers(&case["greedy_token_ids"]);
        let found = program.greedy_tokens(&integers(&case["token_ids"]), expected.len());
        assert_eq!(found, expected, "{}", name(&case));
    }
}

#[test]
fn recorded_logits_of_gemma3_are_computed() {
    let Some(program) = gemma3() else { return };
    let expected = fixture::folder().join("gemma3-270m").join("logits.safetensors");
    for case in cases("prompts.json") {
        let (name, tokens) = (name(&case), integers(&case["token_ids"]));
        let way = Way {
            threads: 2,
            ..Way::default()
        };
        let all = program.logits(&tokens, way).slice(tokens.len() - 1, tokens.len());
        for (ids, logits) in [
            (format!("{name}.top_ids"), format!("{name}.top_logits")),
            ("random_ids".to_owned(), format!("{name}.random_logits")),
        ] {
            let ids = rows::read_integers(&expected, &ids).unwrap_or_default();
            let wanted = Rows::read(&expected, &logits);
            assert_eq!(ids.len(), wanted.data.len(), "{name}");
            let off = ids
                .iter()
                .zip(&wanted.data)
                .map(|(id, x)| (all.data[*id as usize] - x).abs());
            let off = off.fold(0.0_f32, f32::max);
            assert!(off <= TOLERANCE, "{name}: off by {off:e}");
        }
    }
}

#[test]
fn strings_become_the_recorded_tokens_of_gemma3() {
    let Some(program) = gemma3() else { return };
    let mut wrong = Vec::new();
    for case in cases("tokenizer.json") {
        let found = program.greedy_of_input(case["text"].as_str().unwrap_or_default(), 0);
        if integers(&found["prompt_tokens"]) != integers(&case["ids"]) {
            wrong.push(format!(
                "{}: {} instead of {}",
                case["text"], found["prompt_tokens"], case["ids"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} strings\n{}", wrong.len(), wrong.join("\n"));
}

/// Mean negative log likelihoods of the first 600 tokens of the longest prompt in one pass, and of the second halves of its first two windows of
/// 256 tokens, each behind the token that begins texts: in double precision, by the arithmetic of the recorded logits.
const LIKELIHOODS: [f64; 2] = [3.240_910_072_214, 3.270_721_374_758];

#[test]
fn perplexity_of_gemma3_is_the_recorded_one() {
    let Some(program) = gemma3() else { return };
    let cases = cases("prompts.json");
    let case = cases
        .iter()
        .find(|case| name(case) == "long")
        .expect("the longest prompt");
    let (tokens, text) = (integers(&case["token_ids"]), case["text"].as_str().unwrap_or_default());
    // More than two windows, and less than three.
    let text = &text[..text.len() * 18 / 25];
    let ids = list(&tokens[..600]);
    let whole = ["--tokens", &ids];
    let windows = ["--text", text, "--context", "256", "--windows", "llama"];
    for (words, expected) in [&whole[..], &windows].into_iter().zip(LIKELIHOODS) {
        let words = [&["perplexity", "--format", "json"][..], words].concat();
        let found = program::json(program.run(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()));
        let nll = found["nll"].as_f64().unwrap_or(f64::INFINITY);
        assert!((nll - expected).abs() < 1e-4, "{nll} is not {expected}");
    }
}

/// The model that is written by hand computes what the imported one does.
#[test]
fn the_model_of_gemma3_in_the_library_is_the_imported_one() {
    let Some(imported) = gemma3() else { return };
    let by_hand = program::built("gemma3-270m-by-hand", || {
        root().join("specs").join("models").join("gemma3-270m.yaml")
    });
    let tokens: Vec<i64> = (0..40).map(|i| (i * 7919 + 11) % 262_144).collect();
    let wanted = by_hand.logits(&tokens, Way::default());
    let off = imported.logits(&tokens, Way::default()).distance(&wanted);
    assert!(off <= TOLERANCE, "off by {off:e}");
}

/// Peak memory is that of the file with a seventh of it and the caches of the model.
#[test]
fn memory_of_gemma3_is_that_of_its_file() {
    let Some(program) = gemma3() else { return };
    let words = ["bench", "-p", "512", "-n", "8", "-r", "1", "--output", "json"].map(str::to_owned);
    let said = program.run(&words).ok();
    let found: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
    let peak = found["peak_bytes"].as_f64().unwrap_or(f64::INFINITY);
    let file = fs::metadata(gguf()).map_or(0, |file| file.len()) as f64;
    // Caches of 520 tokens: keys and values of 256 numbers in 18 layers.
    let caches = 520.0 * 2.0 * 256.0 * 4.0 * 18.0;
    assert!(peak <= 1.15 * file + caches, "{peak} bytes, the file has {file}");
}
