//! A real model on real text: SmolLM2-135M-Instruct in 4 bits, token for token.
//!
//! `scripts/setup.sh` fetches the weights; `SEQC_NO_WEIGHTS=1` leaves these tests out where they cannot be had.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

use seqc_tests::{
    command, fixture,
    program::{self, Program, Way, integers, list},
    root,
    rows::Rows,
};

/// Absolute, on logits: f32 arithmetic on the weights as the file has them.
const TOLERANCE: f32 = 1e-3;

fn gguf() -> PathBuf {
    root().join("build").join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The program, or `None` where the user said that there are no weights.
fn smollm2() -> Option<Program> {
    if !gguf().exists() {
        let said = env::var_os("SEQC_NO_WEIGHTS").is_some();
        assert!(
            said,
            "build/ has no weights; `scripts/setup.sh` fetches them, SEQC_NO_WEIGHTS=1 does without"
        );
        eprintln!("left out: no weights of SmolLM2 (SEQC_NO_WEIGHTS is set)");
        return None;
    }
    Some(program::built("smollm2", || {
        root().join("specs").join("models").join("smollm2-135m.yaml")
    }))
}

fn cases(file: &str) -> Vec<Value> {
    let path = fixture::folder().join("smollm2").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("a case has no `{key}`"))
}

#[test]
fn greedy_continuations_are_the_recorded_ones_at_every_position() {
    let Some(program) = smollm2() else { return };
    let mut wrong = Vec::new();
    for case in cases("prompts.json") {
        let expected = integers(&case["greedy_token_ids"]);
        let found = program.greedy_tokens(&integers(&case["token_ids"]), expected.len());
        if found != expected {
            let at = found.iter().zip(&expected).position(|(a, b)| a != b);
            wrong.push(format!("{}: differs at {at:?}", text(&case, "name")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn last_logits_are_the_recorded_ones() {
    let Some(program) = smollm2() else { return };
    let expected = fixture::folder().join("smollm2").join("logits.safetensors");
    for case in cases("prompts.json") {
        let name = text(&case, "name");
        let tokens = integers(&case["token_ids"]);
        let found = program.logits(
            &tokens,
            Way {
                threads: 2,
                ..Way::default()
            },
        );
        let off = found
            .slice(tokens.len() - 1, tokens.len())
            .distance(&Rows::read(&expected, &format!("{name}.last_logits")));
        assert!(off <= TOLERANCE, "{name}: last logits are off by {off:e}");
    }
}

/// Mean negative log likelihoods of the first 600 tokens of the prompts, each with its continuation, in one pass, and of the second halves of
/// their first two windows of 256 tokens: in double precision, by the arithmetic of the recorded logits.
const LIKELIHOODS: [f64; 2] = [1.854_495_760_126, 1.954_661_425_576];

#[test]
fn perplexity_is_the_recorded_one() {
    let Some(program) = smollm2() else { return };
    let tokens: Vec<i64> = cases("prompts.json")
        .iter()
        .flat_map(|case| [integers(&case["token_ids"]), integers(&case["greedy_token_ids"])].concat())
        .take(600)
        .collect();
    let ids = list(&tokens);
    let whole = ["perplexity", "--format", "json", "--tokens", &ids];
    let windows = [&whole[..], &["--context", "256", "--windows", "llama"]].concat();
    for (words, expected) in [&whole[..], &windows].into_iter().zip(LIKELIHOODS) {
        let found = program::json(program.run(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()));
        let nll = found["nll"].as_f64().unwrap_or(f64::INFINITY);
        assert!((nll - expected).abs() < 1e-4, "{nll} is not {expected}");
    }
}

#[test]
fn prompts_become_the_recorded_tokens() {
    let Some(program) = smollm2() else { return };
    for case in cases("prompts.json") {
        let found = program.greedy(&[format!("--prompt={}", text(&case, "text"))], 1);
        assert_eq!(
            integers(&found["prompt_tokens"]),
            integers(&case["token_ids"]),
            "{}",
            text(&case, "name")
        );
    }
}

#[test]
fn a_stop_text_ends_the_answer_where_it_begins() {
    let Some(program) = smollm2() else { return };
    let cases = cases("prompts.json");
    let case = cases
        .iter()
        .find(|case| text(case, "greedy_text").chars().count() > 40)
        .unwrap_or_else(|| panic!("no long answer is recorded"));
    let whole = text(case, "greedy_text");
    // From the middle of a word to the middle of another one.
    let stop: String = whole.chars().skip(17).take(9).collect();
    let at = whole.find(&stop).unwrap_or_default();
    let prompt = format!("--prompt={}", text(case, "text"));
    let found = program.greedy(
        &[prompt, format!("--stop={stop}")],
        integers(&case["greedy_token_ids"]).len(),
    );
    assert_eq!(
        (&found["text"], &found["stop"]),
        (&Value::from(&whole[..at]), &"text".into())
    );
}

#[test]
fn an_answer_follows_a_json_schema() {
    let Some(program) = smollm2() else { return };
    let schema = program::fresh_file("schema.json");
    let text = r#"{"type": "object", "required": ["city", "population"], "additionalProperties": false, "properties": {
        "city": {"type": "string", "maxLength": 20}, "population": {"type": "integer", "minimum": 0, "maximum": 99999999}}}"#;
    fs::write(&schema, text).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
    let words = [
        "generate",
        "--json",
        "--chat",
        "What is the capital of France? Answer as JSON.",
        "-n",
        "64",
    ];
    let schema = ["--json-schema".to_owned(), schema.display().to_string()];
    let answer = program.run(&[&words.map(str::to_owned)[..], &schema].concat()).ok();
    let found: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
    assert_eq!(found["stop"], "end", "{found}");
    let said: Value = serde_json::from_str(found["text"].as_str().unwrap_or_default()).unwrap_or_default();
    assert!(said["city"].is_string() && said["population"].is_u64(), "{found}");
}

#[test]
fn a_chat_is_rendered_with_the_template_of_the_file() {
    let Some(program) = smollm2() else { return };
    let chats = cases("prompts.json")
        .into_iter()
        .filter(|case| case["messages"].as_array().is_some_and(|m| m.len() == 1));
    for case in chats {
        let found = program.greedy(&[format!("--chat={}", text(&case["messages"][0], "content"))], 1);
        assert_eq!(
            integers(&found["prompt_tokens"]),
            integers(&case["token_ids"]),
            "{}",
            text(&case, "name")
        );
    }
}

#[test]
fn strings_become_the_recorded_tokens() {
    let Some(program) = smollm2() else { return };
    let mut wrong = Vec::new();
    for case in cases("tokenizer.json") {
        let found = program.greedy_of_input(text(&case, "text"), 0);
        if integers(&found["prompt_tokens"]) != integers(&case["ids"]) {
            wrong.push(format!(
                "{:?}: {} instead of {}",
                text(&case, "text"),
                found["prompt_tokens"],
                case["ids"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} strings\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_imported_gguf_computes_the_same_as_the_model_written_by_hand() {
    let Some(by_hand) = smollm2() else { return };
    let imported = program::built("smollm2-imported", || {
        let model = seqc_tests::scratch("imported").join("smollm2.yaml");
        command::seqc(&[PathBuf::from("import"), gguf(), "-o".into(), model.clone()]).ok();
        model
    });
    let tokens: Vec<i64> = (0..40).map(|i| (i * 7919 + 11) % 49152).collect();
    let off = imported
        .logits(&tokens, Way::default())
        .distance(&by_hand.logits(&tokens, Way::default()));
    assert!(off <= TOLERANCE, "off by {off:e}");
}

#[test]
fn a_conversation_goes_on_with_the_end_of_the_answer() {
    let Some(program) = smollm2() else { return };
    let state = program::fresh_file("state").display().to_string();
    let run = |words: &[&str]| -> Value {
        let all: Vec<String> = ["generate", "--json"]
            .iter()
            .chain(words)
            .map(|word| (*word).to_owned())
            .collect();
        let answer = program.run(&all).ok();
        assert_eq!(answer.stderr, "");
        serde_json::from_str(&answer.stdout).unwrap_or_default()
    };
    let first = run(&["--chat", "My name is Ada.", "-n", "8", "--save-state", &state]);
    assert_eq!(first["stop"], "length");
    let next = run(&["--chat", "What is my name?", "-n", "0", "--load-state", &state]);
    let asked = "<|im_end|>\n<|im_start|>user\nWhat is my name?<|im_end|>\n<|im_start|>assistant\n";
    let expected = program.greedy(&[format!("--prompt={asked}")], 0);
    assert_eq!(next["prompt_tokens"], expected["prompt_tokens"]);
}
