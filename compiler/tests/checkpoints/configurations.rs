//! Configurations that leave keys out, or give them null or what is no value of theirs.

use super::{folder, try_import, write};
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The configuration of a checkpoint of `tests`.
fn configuration(fixture: &str) -> Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/{fixture}/config.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A folder with a configuration and nothing else, which no other call gives: tests run at the same time.
fn written(name: &str, config: &Map<String, Value>) -> PathBuf {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let dir = folder(&format!("configuration-{name}-{number}"));
    write(&dir.join("config.json"), Value::Object(config.clone()).to_string());
    dir
}

/// The model of a configuration of `tests` in which a key, in its text half if it has one, is replaced, or left out.
fn model(fixture: &str, key: &str, value: Option<Value>) -> String {
    let mut config = configuration(fixture);
    let half = config.get_mut("text_config").and_then(Value::as_object_mut).is_some();
    let entries = match config.get_mut("text_config") {
        Some(Value::Object(entries)) if half => entries,
        _ => &mut config,
    };
    entries.remove(key);
    entries.extend(value.map(|value| (key.to_owned(), value)));
    let dir = written("nulls", &config);
    match try_import(&dir, None) {
        Ok((imported, _)) => imported.text,
        Err(said) => panic!("{fixture}, {key}: {said}"),
    }
}

#[test]
fn a_null_is_not_what_a_missing_key_is() {
    for (fixture, key, null, missing) in [
        ("checkpoints/gemma2", "attn_logit_softcapping", "cap: 0", "cap: 50"),
        (
            "checkpoints/gemma2",
            "final_logit_softcapping",
            "final_cap: 0",
            "final_cap: 30",
        ),
        ("checkpoints/mistral3", "sliding_window", "window: .inf", "window: 4096"),
        (
            "checkpoints/deepseek_v2-lite",
            "q_lora_rank",
            "q_rank: 0",
            "q_rank: 1536",
        ),
        (
            "checkpoints/deepseek_v3",
            "norm_topk_prob",
            "renormalise: false",
            "renormalise: true",
        ),
        (
            "checkpoints/falcon",
            "parallel_attn",
            "parallel: false",
            "parallel: true",
        ),
    ] {
        for (value, line) in [(Some(Value::Null), null), (None, missing)] {
            let text = model(fixture, key, value);
            let has = text.lines().any(|l| l.trim() == line);
            assert!(has, "{fixture}, {key}: `{line}` is not in\n{text}");
        }
    }
}

#[test]
fn heads_of_keys_that_are_null_are_as_many_as_of_queries() {
    for family in [
        "bamba",
        "ernie4_5",
        "falcon_h1",
        "qwen2",
        "qwen3",
        "seed_oss",
        "smollm3",
        "mixtral",
    ] {
        let text = model(
            &format!("checkpoints/{family}"),
            "num_key_value_heads",
            Some(Value::Null),
        );
        let heads = text.lines().find_map(|l| l.trim().strip_prefix("heads: "));
        let of_keys = text.lines().find_map(|l| l.trim().strip_prefix("kv_heads: "));
        assert!(heads.is_some() && heads == of_keys, "{family}: {text}");
    }
}

/// Every key that a family reads, by the text of its file and of its parts.
fn keys(family: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/families");
    let read = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = read(root.join(format!("{family}.yaml")));
    for part in ["decoder", "rope"] {
        let includes = text
            .lines()
            .find(|line| line.starts_with("include:"))
            .unwrap_or_default();
        if includes.contains(part) {
            text += &read(root.join(format!("parts/{part}.yaml")));
        }
    }
    let calls = text.split("get(\"").skip(1);
    let mut keys: Vec<String> = calls
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The entry under a path of mappings.
fn entry<'c>(config: &'c mut Map<String, Value>, path: &str) -> Option<&'c mut Value> {
    match path.split_once('.') {
        None => config.get_mut(path),
        Some((first, rest)) => entry(config.get_mut(first)?.as_object_mut()?, rest),
    }
}

/// What an import of a configuration with another value says.
fn said(config: &Map<String, Value>) -> (String, PathBuf) {
    let dir = written("types", config);
    match try_import(&dir, None) {
        Ok((imported, _)) => panic!("{config:?} should be refused: {}", imported.text),
        Err(said) => (said, dir.join("config.json")),
    }
}

#[test]
fn values_of_a_wrong_type_are_refused_with_their_file_and_key() {
    let values = [json!("six"), json!([1]), json!(true), json!({"a": 1}), json!(3)];
    for (fixture, family, unread) in [
        ("fixtures/hf/llama", "llama", &[][..]),
        ("fixtures/hf/gemma3", "gemma3", &[]),
        ("checkpoints/mixtral", "mixtral", &[]),
        ("checkpoints/bamba", "bamba", &[]),
        ("checkpoints/t5", "t5", &["pad_token_id", "tie_word_embeddings"]),
    ] {
        let mut tried = 0;
        for key in keys(family).iter().filter(|key| !unread.contains(&key.as_str())) {
            let mut config = configuration(fixture);
            let Some(value) = entry(&mut config, key).filter(|value| !value.is_null()) else {
                continue;
            };
            let is_other = |other: &&Value| std::mem::discriminant(*other) != std::mem::discriminant(value);
            let wrong = values.iter().cycle().skip(tried).find(is_other);
            *value = wrong.unwrap_or(&values[0]).clone();
            let shown = format!("{family}: {key}: {value}");
            // A number that is an id may stand in a list.
            if shown == "t5: decoder_start_token_id: [1]" {
                *value = json!({"a": 1});
            }
            let (said, path) = said(&config);
            let message = format!("[wrong-type] Error: {}: `{key}` is ", path.display());
            assert!(
                said.starts_with(&message) && said.contains(" is expected"),
                "{shown}: {said}"
            );
            tried += 1;
        }
        assert!(tried > 10, "{family}: {tried} keys");
    }
}

#[test]
fn values_are_described_beside_what_is_expected() {
    let with = |key: &str, value: Value| {
        let mut config = configuration("fixtures/hf/llama");
        config.insert(key.to_owned(), value);
        said(&config).0
    };
    for (key, value, says) in [
        (
            "num_hidden_layers",
            json!("six"),
            "`num_hidden_layers` is \"six\", a string, where a number is expected",
        ),
        (
            "rope_parameters",
            json!(3),
            "`rope_parameters` is 3, a number, where a mapping is expected",
        ),
        (
            "hidden_size",
            Value::Null,
            "`hidden_size` is null, where a number is expected",
        ),
        (
            "vocab_size",
            json!([48, 2]),
            "`vocab_size` is a list, where a number is expected",
        ),
        (
            "tie_word_embeddings",
            json!(1),
            "`tie_word_embeddings` is 1, a number, where a boolean is expected",
        ),
        (
            "hidden_act",
            json!({"name": "silu"}),
            "`hidden_act` is a mapping, where a string is expected",
        ),
        // Numbers that are none of the right ones.
        ("hidden_size", json!(-8), "config.json says `hidden_size`: -8"),
        (
            "num_hidden_layers",
            json!(2.5),
            "config.json says `num_hidden_layers`: 2.5",
        ),
        (
            "num_key_value_heads",
            json!(3),
            "config.json says `num_key_value_heads`: 3",
        ),
        ("rms_norm_eps", json!(-1), "config.json says `rms_norm_eps`: -1"),
    ] {
        let said = with(key, value);
        assert!(said.contains(says), "{key}: {said}");
    }
}

#[test]
fn positions_for_padding_are_no_length_of_a_text() {
    for (fixture, length) in [("roberta", 62), ("mpnet", 62), ("bert", 64)] {
        let mut config = configuration(&format!("checkpoints/{fixture}"));
        config.insert("max_position_embeddings".to_owned(), json!(64));
        let text = try_import(&written("lengths", &config), None).map(|(imported, _)| imported.text);
        let line = format!("trained_length: {length}");
        assert!(
            text.as_ref().is_ok_and(|text| text.lines().any(|l| l == line)),
            "{line}: {text:?}"
        );
    }
}
