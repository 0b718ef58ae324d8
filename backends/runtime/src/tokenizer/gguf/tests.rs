//! Tokenizers of GGUF files: unigram models beside SentencePiece, and what a file does not say.

use std::path::Path;

use serde_json::Value;

use crate::{
    testing::{Meta, file, gguf},
    tokenizer::Tokenizer,
};

/// A model of SentencePiece with what it makes of some texts, by `make.py` beside it.
const PIECES: &str = "../../tests/fixtures/unigram/pieces.json";

fn open_gguf(keys: &[(&str, Meta)]) -> crate::Result<Tokenizer> {
    Tokenizer::open(&file("tokenizer.gguf", &gguf(keys)))
}

#[test]
fn kinds_that_the_file_does_not_say_warn() {
    for pre in [None, Some("default")] {
        let mut keys = vec![
            ("tokenizer.ggml.model", Meta::Text("gpt2")),
            ("tokenizer.ggml.tokens", Meta::Texts(vec!["a".to_owned()])),
            ("tokenizer.ggml.merges", Meta::Texts(Vec::new())),
        ];
        keys.extend(pre.map(|name| ("tokenizer.ggml.pre", Meta::Text(name))));
        let tokenizer = open_gguf(&keys).expect("a tokenizer");
        let said = tokenizer.warnings().join("; ");
        assert!(said.contains("does not say how texts are cut"), "{pre:?}: {said}");
    }
}

#[test]
fn likeliest_pieces_are_those_of_sentencepiece() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PIECES)).expect("pieces");
    let made: Value = serde_json::from_str(&text).expect("JSON");
    let column = |place: usize| {
        made["pieces"]
            .as_array()
            .expect("pieces")
            .iter()
            .map(move |piece| &piece[place])
    };
    let keys = vec![
        ("tokenizer.ggml.model", Meta::Text("t5")),
        (
            "tokenizer.ggml.tokens",
            Meta::Texts(column(0).map(|text| text.as_str().expect("text").to_owned()).collect()),
        ),
        (
            "tokenizer.ggml.scores",
            Meta::Floats(column(1).map(|score| score.as_f64().expect("a score") as f32).collect()),
        ),
        (
            "tokenizer.ggml.token_type",
            Meta::Numbers(column(2).map(|kind| kind.as_i64().expect("a type") as i32).collect()),
        ),
        ("tokenizer.ggml.eos_token_id", Meta::Number(1)),
        ("tokenizer.ggml.unknown_token_id", Meta::Number(2)),
        ("tokenizer.ggml.remove_extra_whitespaces", Meta::Truth(true)),
        (
            "tokenizer.ggml.precompiled_charsmap",
            Meta::Numbers(
                serde_json::from_value::<Vec<i64>>(made["charsmap"].clone())
                    .expect("bytes")
                    .into_iter()
                    .map(|byte| byte as i32)
                    .collect(),
            ),
        ),
    ];
    let tokenizer = open_gguf(&keys).expect("a tokenizer");
    for case in made["cases"].as_array().expect("cases") {
        let text = case[0].as_str().expect("text");
        let mut expected: Vec<i64> = serde_json::from_value(case[1].clone()).expect("ids");
        // Neighbours that are unknown are one to the library, as in tokenizers of transformers.
        expected.dedup_by(|next, before| *next == 2 && *before == 2);
        assert_eq!(tokenizer.encode(text, false).expect("tokens"), expected, "{text:?}");
    }
    assert_eq!(tokenizer.encode("hello world", true).expect("tokens"), [11, 14, 1]);
    assert_eq!(tokenizer.decode(&[11, 14]).expect("text"), "hello world");
    let mut cut = keys;
    cut[7].1 = Meta::Numbers(vec![255, 255, 255, 127, 0]);
    let outcome = open_gguf(&cut).and_then(|tokenizer| tokenizer.encode("hello", true));
    assert!(
        outcome
            .expect_err("refused")
            .to_string()
            .contains("precompiled_charsmap")
    );
}
