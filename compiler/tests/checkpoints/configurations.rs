//! Configurations that leave keys out, or give them null or what is no value of theirs.

use super::{folder, try_import, write};
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The configuration of a checkpoint of `tests`.
fn configuration(fixture: &str) -> Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/{fixture}/config.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A folder with a configuration and nothing else.
fn written(name: &str, config: &Map<String, Value>) -> PathBuf {
    let dir = folder(&format!("configuration-{name}"));
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
