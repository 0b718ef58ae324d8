//! `perplexity` and `tasks` of built programs.

use crate::{chat::bytes, serve::tokenizer};
use seqc_tests::{
    command,
    fixture::Fixture,
    program::{self, fresh_file, list},
    root,
    rows::Rows,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Mean negative log likelihood of the tokens from `first` on, by the evaluator.
fn evaluated(model: &Path, tokens: &[i64], first: usize, prompt: Option<usize>) -> f64 {
    let out = fresh_file("safetensors");
    let mut args: Vec<PathBuf> = vec!["eval".into(), model.into(), "--tokens".into(), list(tokens).into()];
    args.extend(["-o".into(), out.clone()]);
    if let Some(length) = prompt {
        args.extend(["--prompt-length".into(), length.to_string().into()]);
    }
    command::seqc(&args).ok();
    let logits = Rows::read(&out, "logits");
    let nll = |at: usize| {
        let row = logits.slice(at - 1, at).data;
        let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[tokens[at] as usize]
    };
    (first..tokens.len()).map(nll).sum::<f64>() / (tokens.len() - first) as f64
}

fn perplexity(program: &program::Program, tokens: &[i64], more: &[&str]) -> Value {
    let mut args = vec!["perplexity".to_owned(), "--tokens".to_owned(), list(tokens)];
    args.extend(["--format", "json"].iter().chain(more).map(|word| (*word).to_owned()));
    program::json(program.run(&args))
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-4 * expected, "{found} is not {expected}");
}

#[test]
fn perplexity_of_a_text_is_that_of_the_evaluator() {
    let fixture = Fixture::open("llama");
    let (program, tokens) = (fixture.program(), fixture.sequence());
    let model = fixture.import("llama-perplexity");
    let found = perplexity(&program, &tokens, &[]);
    close(&found["nll"], evaluated(&model, &tokens, 1, None));
    // The second window begins after 16 tokens, and its first 16 are context.
    let found = perplexity(&program, &tokens[..48], &["--context", "32", "--chunk", "7"]);
    let parts = [
        evaluated(&model, &tokens[..32], 1, None),
        evaluated(&model, &tokens[16..48], 16, None),
    ];
    close(&found["nll"], (31.0 * parts[0] + 16.0 * parts[1]) / 47.0);
}

#[test]
fn policies_that_decide_at_the_end_of_a_prompt_do_so_in_every_window() {
    let text = fs::read_to_string(root().join("specs/policies/snapkv.yaml")).expect("a model");
    let model = seqc_tests::scratch("scores").join("snapkv.yaml");
    let text = text.replace("budget: 64, window: 16", "budget: 12, window: 4");
    fs::write(&model, format!("{text}weights: {{random: 3}}\n")).expect("a model");
    let program = program::built("snapkv-scores", || model.clone());
    let tokens: Vec<i64> = (0..60).map(|n| (n * n * 7 + n) % 320).collect();
    let found = perplexity(&program, &tokens[..40], &["--prompt-length", "30"]);
    let (kept, all) = (
        evaluated(&model, &tokens[..40], 30, Some(30)),
        evaluated(&model, &tokens[..40], 30, None),
    );
    close(&found["nll"], kept);
    assert!(
        (kept - all).abs() > 5e-4 * kept,
        "the cut makes no difference: {kept} and {all}"
    );
    let found = perplexity(&program, &tokens, &["--context", "40", "--prompt-length", "20"]);
    let parts = [
        evaluated(&model, &tokens[..40], 20, Some(20)),
        evaluated(&model, &tokens[20..], 20, Some(20)),
    ];
    close(&found["nll"], (parts[0] + parts[1]) / 2.0);
}

/// What `llama-perplexity` scores: whole windows one after another, in their second half. Each token of this tokenizer is a byte.
#[test]
fn windows_of_llama_are_scored_in_their_second_half() {
    let program = bytes();
    let text = "the weather in Paris, and elsewhere";
    let tokenizer = tokenizer().display().to_string();
    let args = ["tokenize", "--json", "--prompt", text, "--tokenizer", &tokenizer];
    let tokens = program::json(program.run(&args.map(str::to_owned)));
    let said = tokens["pieces"].as_array().map_or(0, Vec::len);
    let ids: Vec<i64> = serde_json::from_value(tokens["tokens"].clone()).expect("ids");
    assert_eq!((said, &tokens["text"]), (ids.len(), &text.into()), "{tokens}");
    let args = [
        "perplexity",
        "--text",
        text,
        "--context",
        "16",
        "--windows",
        "llama",
        "--format",
        "json",
    ];
    let args = [&args[..], &["--tokenizer", &tokenizer]].concat();
    let found = program::json(program.run(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()));
    assert_eq!(
        (&found["windows"], &found["scored"]),
        (&(ids.len() / 16).into(), &(7 * (ids.len() / 16)).into()),
        "{found}"
    );
    let bits = found["nll"].as_f64().expect("a number") / std::f64::consts::LN_2;
    close(&found["bits_per_byte"], bits);
}

#[test]
fn tasks_are_answered_and_counted_by_length_and_depth() {
    let dir = seqc_tests::scratch("scores");
    let file = dir.join("passkey.jsonl");
    let line = "tasks passkey --length 60 --depth 0,1 --count 2 --force -o";
    let mut args: Vec<PathBuf> = line.split(' ').map(PathBuf::from).collect();
    args.push(file.clone());
    command::seqc(&args).ok();
    let written = fs::read_to_string(&file).expect("tasks");
    assert_eq!(written.lines().count(), 4);
    let tokenizer = tokenizer().display().to_string();
    let run = |file: &Path| {
        let file = file.display().to_string();
        let args = ["tasks", &file, "-n", "4", "--format", "json", "--tokenizer", &tokenizer];
        program::json(bytes().run(&args.map(str::to_owned)))
    };
    let found = run(&file);
    assert_eq!(
        (&found["tasks"], found["groups"].as_array().map(Vec::len)),
        (&4.into(), Some(2)),
        "{found}"
    );
    // An answer that the model gives is right.
    let said = found["answers"][0]["text"].as_str().expect("a text").trim().to_owned();
    let mut task: Value = serde_json::from_str(written.lines().next().expect("a task")).expect("JSON");
    task["answer"] = said.clone().into();
    let own = dir.join("own.jsonl");
    fs::write(&own, format!("{task}\n")).expect("tasks");
    assert!(said.is_empty() || run(&own)["right"] == 1, "{said:?}");
}

/// Vectors of an encoder's texts are those of its tokens, pooled.
#[test]
fn texts_have_vectors() {
    let program = Fixture::open("bert").program();
    let out = fresh_file("vectors.json");
    let rows = |args: &[&str]| {
        let output = ["-o".to_owned(), out.display().to_string()];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).chain(output).collect();
        program.run(&args).ok();
        let written: Value = serde_json::from_str(&fs::read_to_string(&out).expect("vectors")).expect("JSON");
        written
    };
    let numbers = |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).expect("numbers") };
    let hidden = rows(&["logits", "--tokens", "3,1,4,1,5"]);
    let hidden: Vec<Vec<f64>> = serde_json::from_value(hidden["hidden"].clone()).expect("rows");
    let found = rows(&[
        "embed",
        "--tokens",
        "3,1,4,1,5",
        "--tokens",
        "2,7",
        "--raw",
        "--pooling",
        "last",
    ]);
    assert_eq!(found["tensors"]["embeddings"]["shape"][0], 2);
    assert_eq!(numbers(&found["embeddings"][0]), hidden[4]);
    let found = numbers(&rows(&["embed", "--tokens", "3,1,4,1,5"])["embeddings"][0]);
    let mean = |n: usize| hidden.iter().map(|row| row[n]).sum::<f64>() / 5.0;
    let length = (0..found.len()).map(|n| mean(n).powi(2)).sum::<f64>().sqrt();
    for (n, value) in found.iter().enumerate() {
        assert!((value - mean(n) / length).abs() < 1e-5, "{n}");
    }
}
