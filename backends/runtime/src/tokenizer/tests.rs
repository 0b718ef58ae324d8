//! Tokenizers of both kinds of files: recorded tokens, hand-made vocabularies, damaged files.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Tokenizer;
use crate::{
    chat::Message,
    testing::{Meta, file, fresh, gguf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The published tokenizer that `scripts/setup.sh` fetches with its weights.
fn published() -> Option<Tokenizer> {
    let path = root().join("build/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !path.exists() {
        eprintln!("left out: {} is not there", path.display());
        return None;
    }
    Some(Tokenizer::open(&path).expect("a tokenizer"))
}

fn cases(name: &str) -> Vec<Value> {
    let path = root().join("tests/fixtures/smollm2").join(name);
    let text = std::fs::read_to_string(path).expect("recorded cases");
    serde_json::from_str(&text).expect("JSON")
}

fn ids(case: &Value, key: &str) -> Vec<i64> {
    serde_json::from_value(case[key].clone()).expect("ids")
}

#[test]
fn texts_become_the_recorded_tokens_and_back() {
    let Some(tokenizer) = published() else { return };
    assert!(tokenizer.warnings().is_empty());
    let cases = cases("tokenizer.json");
    assert_eq!(cases.len(), 200);
    for case in &cases {
        let text = case["text"].as_str().expect("text");
        let expected = ids(case, "ids");
        assert_eq!(tokenizer.encode(text, true).expect("tokens"), expected, "{text:?}");
        let back = tokenizer.decode(&expected).expect("text");
        assert_eq!(back == text, case["round_trip"] == true, "{text:?}: {back:?}");
        assert_eq!(streamed(&tokenizer, &expected), back, "{text:?}");
    }
}

#[test]
fn prompts_and_chats_become_the_recorded_tokens() {
    let Some(tokenizer) = published() else { return };
    for case in cases("prompts.json") {
        let name = &case["name"];
        let text = case["text"].as_str().expect("text");
        let expected = ids(&case, "token_ids");
        assert_eq!(tokenizer.encode(text, true).expect("tokens"), expected, "{name}");
        let greedy = ids(&case, "greedy_token_ids");
        assert_eq!(tokenizer.decode(&greedy).expect("text"), case["greedy_text"], "{name}");
        let one = case["messages"].as_array().filter(|messages| messages.len() == 1);
        if let Some(message) = one.and_then(|messages| messages[0]["content"].as_str()) {
            let chat = crate::chat::render(
                &tokenizer,
                &[Message::new("user", message)],
                &crate::chat::Given::default(),
            )
            .expect("a chat");
            assert_eq!(chat, text, "{name}");
            assert_eq!(
                tokenizer.encode_rendered(&chat, true).expect("tokens"),
                expected,
                "{name}"
            );
        }
    }
    assert!([2, 0].iter().all(|id| tokenizer.stops().contains(id)) && !tokenizer.stops().contains(&1));
}

#[test]
fn long_words_take_no_long_time() {
    let Some(tokenizer) = published() else { return };
    let found = tokenizer.encode(&"ab".repeat(100_000), true).expect("tokens");
    assert!(found.len() > 1000);
}

/// What comes out token by token.
fn streamed(tokenizer: &Tokenizer, ids: &[i64]) -> String {
    let mut stream = tokenizer.stream(&[]);
    let pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).expect("text")).collect();
    pieces.concat() + &stream.finish()
}

/// A vocabulary of pieces: specials, all bytes, then those given with their scores.
fn pieces(more: &[(&str, f32)]) -> Vec<(&'static str, Meta<'static>)> {
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let specials = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let texts: Vec<String> = specials
        .into_iter()
        .chain(bytes)
        .chain(more.iter().map(|(text, _)| (*text).to_owned()))
        .collect();
    let fixed = texts.len() - more.len();
    let scores = vec![0.0; fixed]
        .into_iter()
        .chain(more.iter().map(|(_, score)| *score))
        .collect();
    let kinds = [2, 3, 3]
        .into_iter()
        .chain([6; 256])
        .chain(more.iter().map(|_| 1))
        .collect();
    vec![
        ("tokenizer.ggml.model", Meta::Text("llama")),
        ("tokenizer.ggml.tokens", Meta::Texts(texts)),
        ("tokenizer.ggml.scores", Meta::Floats(scores)),
        ("tokenizer.ggml.token_type", Meta::Numbers(kinds)),
        ("tokenizer.ggml.unknown_token_id", Meta::Number(0)),
        ("tokenizer.ggml.bos_token_id", Meta::Number(1)),
        ("tokenizer.ggml.eos_token_id", Meta::Number(2)),
    ]
}

const PIECES: &[(&str, f32)] = &[
    ("▁", -9.0),
    ("h", -9.0),
    ("e", -9.0),
    ("l", -9.0),
    ("o", -9.0),
    ("▁h", -2.0),
    ("ll", -1.0),
    ("el", -3.0),
    ("ell", -5.0),
    ("▁hell", -4.0),
    ("▁he", -3.5),
    ("lo", -0.5),
];
/// The id of the first of them.
const FIRST: i64 = 259;

fn open_gguf(keys: &[(&str, Meta)]) -> crate::Result<Tokenizer> {
    Tokenizer::open(&file("tokenizer.gguf", &gguf(keys)))
}

#[test]
fn pieces_are_joined_by_score() {
    let tokenizer = open_gguf(&pieces(PIECES)).expect("a tokenizer");
    let id = |text: &str| FIRST + PIECES.iter().position(|(piece, _)| *piece == text).expect("a piece") as i64;
    // `lo` is joined first, so that `ll` and all that is made of it never come about.
    let hello = [1, id("▁h"), id("el"), id("lo")];
    assert_eq!(tokenizer.encode("hello", true).expect("tokens"), hello);
    assert_eq!(tokenizer.encode("hell", false).expect("tokens"), [id("▁hell")]);
    let mixed = tokenizer.encode("hé</s> o", false).expect("tokens");
    assert_eq!(mixed, [id("▁h"), 3 + 0xc3, 3 + 0xa9, 2, id("▁"), id("▁"), id("o")]);
    assert_eq!(tokenizer.decode(&hello[1..]).expect("text"), "hello");
    assert_eq!(
        tokenizer.decode(&[3 + 0xc3, 3 + 0xa9, id("▁he")]).expect("text"),
        "é he"
    );
    let mut stream = tokenizer.stream(&[1]);
    let shown = [id("▁he"), 3 + 0xc3, 3 + 0xa9, 3 + 0xc3].map(|token| stream.push(token).expect("text"));
    assert_eq!(shown, [" he", "", "é", ""]);
    assert_eq!(stream.finish(), "\u{fffd}");
    assert!(tokenizer.stops().contains(&2) && !tokenizer.stops().contains(&1));
    assert_eq!(tokenizer.decode(&[-1, 1 << 40, 9999]).expect("text"), "");
}

/// What these tokens say together, each by itself.
fn said(tokenizer: &Tokenizer, ids: &[i64]) -> String {
    let parts = tokenizer.token_bytes(ids).expect("bytes");
    let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn the_bytes_of_tokens_are_those_of_their_text() {
    let tokenizer = open_gguf(&pieces(PIECES)).expect("a tokenizer");
    let hello = tokenizer.encode("hell é hello", false).expect("tokens");
    assert_eq!(said(&tokenizer, &hello), " hell é hello");
    let special = tokenizer.token_bytes(&[0, 1, 4, FIRST, -1, 9999]).expect("bytes");
    assert_eq!(
        special.iter().map(|one| one.special).collect::<Vec<_>>(),
        [true, true, false, false, false, false]
    );
    assert!(special[4].bytes.is_empty() && special[5].bytes.is_empty());
    let Some(published) = published() else { return };
    for case in cases("tokenizer.json") {
        let ids = ids(&case, "ids");
        let parts = published.token_bytes(&ids).expect("bytes");
        let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        assert_eq!(String::from_utf8_lossy(&bytes), published.decode(&ids).expect("text"));
    }
}

#[test]
fn every_decoder_of_a_tokenizer_json_says_what_its_tokens_are() {
    let decoders = [
        (
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            "Ġa",
            "Ã©",
            " aé",
        ),
        (
            json!({"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": true}),
            "_a",
            "é",
            " aé",
        ),
        (
            json!({"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}),
            "▁a",
            "<0x21>",
            " a!",
        ),
        (
            json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
            "a",
            "##b",
            " ab",
        ),
        (json!(null), "a", "b", " a b"),
    ];
    for (decoder, first, second, expected) in decoders {
        let (mut tokenizer, config) = json_file();
        tokenizer["decoder"] = decoder;
        tokenizer["model"]["vocab"] = json!({"<|end|>": 0, first: 1, second: 2});
        tokenizer["model"]["merges"] = json!([]);
        let path = write_json(tokenizer.to_string().as_bytes(), config.to_string().as_bytes());
        let tokenizer = Tokenizer::open(&path).expect("a tokenizer");
        assert_eq!(said(&tokenizer, &[1, 2, 3]), expected);
        let end = &tokenizer.token_bytes(&[0]).expect("bytes")[0];
        assert!(end.special && end.bytes == b"<|end|>");
    }
}

#[test]
fn unknown_kinds_warn_or_are_refused() {
    let byte_level = |kind: &'static str| {
        vec![
            ("tokenizer.ggml.model", Meta::Text("gpt2")),
            ("tokenizer.ggml.pre", Meta::Text(kind)),
            (
                "tokenizer.ggml.tokens",
                Meta::Texts(["a", "b", "ab", "Ġ"].map(str::to_owned).to_vec()),
            ),
            ("tokenizer.ggml.merges", Meta::Texts(vec!["a b".to_owned()])),
        ]
    };
    for kind in [
        "gpt-2",
        "smollm",
        "llama-bpe",
        "lfm2",
        "qwen2",
        "tekken",
        "gpt-4o",
        "falcon",
        "deepseek-v3",
    ] {
        let tokenizer = open_gguf(&byte_level(kind)).expect(kind);
        assert!(tokenizer.warnings().is_empty(), "{kind}");
        assert_eq!(tokenizer.encode("ab ba", true).expect(kind), [2, 3, 1, 0], "{kind}");
    }
    let tokenizer = open_gguf(&byte_level("none-such")).expect("a tokenizer");
    assert!(tokenizer.warnings()[0].contains("none-such"));
    let said = open_gguf(&[("tokenizer.ggml.model", Meta::Text("rwkv"))])
        .expect_err("unknown")
        .to_string();
    assert!(said.contains("rwkv"), "{said}");
    let bare = open_gguf(&[("general.name", Meta::Text("bare"))])
        .expect_err("none")
        .to_string();
    assert!(bare.contains("no tokenizer"), "{bare}");
}

#[test]
fn vocabularies_that_contradict_themselves_are_refused() {
    type Keys = Vec<(&'static str, Meta<'static>)>;
    let edits: [fn(&mut Keys); 6] = [
        |keys| keys[1].1 = Meta::Texts(Vec::new()),
        |keys| keys[1].1 = Meta::Numbers(vec![1, 2]),
        |keys| keys[2].1 = Meta::Floats(vec![1.0]),
        |keys| keys[2].1 = Meta::Text("scores"),
        |keys| keys[3].1 = Meta::Numbers(vec![1]),
        |keys| keys[0].1 = Meta::Text("gpt2"),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut keys = pieces(PIECES);
        edit(&mut keys);
        let outcome = open_gguf(&keys).and_then(|tokenizer| tokenizer.encode("hello", true));
        assert!(outcome.is_err(), "case {number}: {outcome:?}");
    }
    // Ids beyond the vocabulary and scores that are no numbers say nothing.
    let mut keys = pieces(PIECES);
    keys[2].1 = Meta::Floats(vec![f32::NAN; 259 + PIECES.len()]);
    keys[5].1 = Meta::Number(u32::MAX);
    let tokenizer = open_gguf(&keys).expect("a tokenizer");
    assert!(tokenizer.encode("hello hello", true).is_ok());
    assert!(tokenizer.warnings()[0].contains("the vocabulary has ids up to"));
}

/// A small byte-level `tokenizer.json` with its configuration beside it.
fn json_file() -> (Value, Value) {
    let vocab = json!({"<|end|>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "Ġab": 5, "Ã": 6, "©": 7});
    let tokenizer = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [{"id": 0, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": ["a b", "Ġ ab"]},
    });
    let config = json!({
        "eos_token": {"content": "<|end|>"},
        "chat_template": [
            {"name": "tool_use", "template": "{{ tools }}"},
            {"name": "default", "template": "{{ messages[0].content }}{{ eos_token }}"},
        ],
    });
    (tokenizer, config)
}

fn write_json(tokenizer: &[u8], config: &[u8]) -> PathBuf {
    let path = fresh("tokenizer.json");
    std::fs::write(&path, tokenizer).expect("a file");
    std::fs::write(path.with_file_name("tokenizer_config.json"), config).expect("a file");
    path
}

#[test]
fn tokens_that_the_settings_alone_list_are_cut_out_of_texts() {
    let (tokenizer, mut config) = json_file();
    let token = json!({"content": "ab", "special": true});
    config["added_tokens_decoder"] = json!({"3": token, "9": {"content": "none"}, "1": {"content": "b"}});
    let of = |config: &Value| {
        let path = write_json(tokenizer.to_string().as_bytes(), config.to_string().as_bytes());
        Tokenizer::open(&path)
            .expect("a tokenizer")
            .encode(" ab", true)
            .expect("ids")
    };
    assert_eq!(of(&config), [4, 3]);
    assert_eq!(of(&Value::Null), [5]);
}

#[test]
fn a_tokenizer_json_is_read_with_what_lies_beside_it() {
    let (tokenizer, config) = json_file();
    let path = write_json(tokenizer.to_string().as_bytes(), config.to_string().as_bytes());
    for path in [path.as_path(), path.parent().expect("a folder")] {
        let tokenizer = Tokenizer::open(path).expect("a tokenizer");
        assert_eq!(
            tokenizer.encode("ab ab ab<|end|>é", true).expect("tokens"),
            [3, 5, 5, 0, 6, 7]
        );
        assert_eq!(tokenizer.decode(&[3, 5, 0, 6, 7]).expect("text"), "ab ab<|end|>é");
        let template = |tools| tokenizer.chat_template(tools).map(|template| template.text);
        assert_eq!(template(true), Some("{{ tools }}"));
        assert!(template(false).is_some_and(|text| text.contains("messages")));
        let long: Vec<i64> = [3, 5, 6, 7, 5, 0].repeat(20);
        assert_eq!(streamed(&tokenizer, &long), tokenizer.decode(&long).expect("text"));
        let mut stream = tokenizer.stream(&[3, 5]);
        assert_eq!(stream.push(6).expect("text"), "");
        assert_eq!(stream.finish(), "\u{fffd}");
        assert!(tokenizer.stops().contains(&0) && !tokenizer.stops().contains(&3));
        assert_eq!(
            crate::chat::render(
                &tokenizer,
                &[Message::new("user", "ab")],
                &crate::chat::Given::default()
            )
            .expect("a chat"),
            "ab<|end|>"
        );
    }
}

#[test]
fn a_damaged_tokenizer_json_is_refused() {
    let (good, config) = json_file();
    let (good, config) = (good.to_string(), config.to_string());
    let deep = "[".repeat(100_000);
    let lost = good.replace("\"a b\"", "\"a z\"");
    for bad in ["", "{}", "null", &deep, &good[..good.len() / 2], &lost] {
        let path = write_json(bad.as_bytes(), config.as_bytes());
        let said = Tokenizer::open(&path).expect_err("refused").to_string();
        assert!(said.contains("tokenizer.json"), "{said}");
    }
    let edits = [
        ("/model/type", json!("Other"), "`model` is of the type `Other`"),
        ("/model", Value::Null, "no mapping `model`"),
        (
            "/decoder",
            json!({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Other"}]}),
            "`decoder.decoders[1]` is of the type `Other`",
        ),
        (
            "/pre_tokenizer/type",
            json!("Other"),
            "`pre_tokenizer` is of the type `Other`",
        ),
        ("/added_tokens/0/id", json!("x"), "`added_tokens[0]` has no `id`"),
        ("/added_tokens/0/content", json!(1), "`added_tokens[0]`: "),
        ("/version", json!("9"), "version '9'"),
    ];
    for (place, value, expected) in edits {
        let (mut tokenizer, _) = json_file();
        *tokenizer.pointer_mut(place).expect(place) = value;
        let path = write_json(tokenizer.to_string().as_bytes(), config.as_bytes());
        let said = Tokenizer::open(&path).expect_err("refused").to_string();
        assert!(said.contains(expected) && !said.contains("Untagged"), "{place}: {said}");
    }
    for bad in ["{", &deep] {
        let path = write_json(good.as_bytes(), bad.as_bytes());
        assert!(Tokenizer::open(&path).is_err());
    }
    assert!(Tokenizer::open(Path::new("/nowhere/at/all")).is_err());
    assert!(Tokenizer::open(Path::new("/")).is_err());
}

#[test]
fn flipped_bits_never_panic() {
    let (good, config) = json_file();
    let good = good.to_string();
    let gguf = gguf(&pieces(PIECES));
    for case in 0..400_usize {
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let at = case * 2_654_435_761 % bytes.len();
            bytes[at] ^= 1 << (case % 8);
            bytes
        };
        let json = write_json(&flip(good.as_bytes()), config.to_string().as_bytes());
        for path in [json, file("tokenizer.gguf", &flip(&gguf))] {
            // Whether a change matters is the file's affair.
            if let Ok(tokenizer) = Tokenizer::open(&path) {
                let _ = tokenizer.encode("hello ab é", true);
                let _ = tokenizer.decode(&[0, 1, 5, 300]);
            }
            std::fs::remove_file(path).expect("the file");
        }
    }
}
