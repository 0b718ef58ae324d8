//! Models of SentencePiece are converted by `seqc import`: programs give texts the ids that it gives them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{
    command,
    program::{integers, json},
    root, scratch,
};
use serde_json::{Value, json};

use super::chat::bytes;

/// A checkpoint in the folder of a test whose tokenizer is that model, with `tokenizer_config.json` of these settings.
fn checkpoint(of: &str, kind: &str, settings: &Value) -> PathBuf {
    let dir = scratch(of).join(kind);
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{error}"));
    let copy = |from: PathBuf, name: &str| {
        fs::copy(&from, dir.join(name)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    let llama = seqc_tests::fixture::folder().join("hf").join("llama");
    copy(llama.join("config.json"), "config.json");
    copy(llama.join("model.safetensors"), "model.safetensors");
    let file = root()
        .join("tests/fixtures/sentencepiece")
        .join(format!("{}.model", kind));
    copy(file, "tokenizer.model");
    fs::write(dir.join("tokenizer_config.json"), settings.to_string()).unwrap_or_else(|error| panic!("{error}"));
    dir
}

/// The tokenizer beside the imported model.
fn converted(of: &str, kind: &str, settings: &Value) -> PathBuf {
    let dir = checkpoint(of, kind, settings);
    let model = dir.with_extension("yaml");
    let (from, to) = (dir.display().to_string(), model.display().to_string());
    let said = command::seqc(&["import", &from, "-o", &to, "--force"]).ok();
    let tokenizer = dir.with_extension("tokenizer.gguf");
    assert!(said.stderr.contains("tokenizer.gguf"), "{}", said.stderr);
    let text = fs::read_to_string(&model).unwrap_or_default();
    assert!(text.contains(&format!("tokenizer: {kind}.tokenizer.gguf")), "{text}");
    tokenizer
}

fn tokens(tokenizer: &Path, text: &str) -> Vec<i64> {
    let tokenizer = tokenizer.display().to_string();
    let words = ["tokenize", "--tokenizer", &tokenizer, "--prompt", text, "--json"];
    let said = json(bytes().run(&words.map(str::to_owned)));
    integers(&said["tokens"])
}

#[test]
fn texts_have_the_ids_that_sentencepiece_gives_them() {
    let known = fs::read_to_string(root().join("tests/fixtures/sentencepiece/known.json")).unwrap_or_default();
    let known: Value = serde_json::from_str(&known).unwrap_or_else(|error| panic!("{error}"));
    for (kind, ids) in known["ids"].as_object().into_iter().flatten() {
        let tokenizer = converted("sentencepiece", kind, &json!({"add_bos_token": false}));
        for (text, ids) in known["texts"]
            .as_array()
            .into_iter()
            .flatten()
            .zip(ids.as_array().into_iter().flatten())
        {
            let text = text.as_str().unwrap_or_default();
            assert_eq!(tokens(&tokenizer, text), integers(ids), "{kind}: {text:?}");
        }
    }
}

#[test]
fn settings_beside_the_model_name_special_tokens_and_the_template() {
    let added = json!({
        "610": {"content": "<|end|>", "special": true},
        "2": {"content": "</s>", "special": true},
        "0": {"content": "<unk>", "special": true},
    });
    let settings = json!({"added_tokens_decoder": added, "eos_token": "<|end|>", "add_eos_token": true,
        "chat_template": "{% for m in messages %}{{ m.content }}<|end|>{% endfor %}"});
    let tokenizer = converted("sentencepiece-settings", "bpe", &settings);
    let plain = tokens(&tokenizer, "a");
    assert_eq!([plain.first(), plain.last()], [Some(&1), Some(&610)], "begin and end");
    let words = [
        "tokenize",
        "--tokenizer",
        &tokenizer.display().to_string(),
        "--chat",
        "a",
        "--json",
    ];
    let said = json(bytes().run(&words.map(str::to_owned)));
    assert_eq!(integers(&said["tokens"]).last(), Some(&610), "{said}");
}
