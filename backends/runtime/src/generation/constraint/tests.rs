//! Answers that follow schemas and grammars, with tokenizers of every kind, and what is said of wrong ones.

use std::path::Path;

use serde_json::{Value, json};

use super::{Grammar, GrammarVocabulary};
use crate::{
    generation::{Continuation, Sampler, SamplingOptions, Taken, Wishes},
    testing::{Meta, file, gguf},
    tokenizer::Tokenizer,
    weights::Mix,
};

/// The token that ends an answer, and the number of those that are special.
const END: i64 = 1;
const WORDS: [&str; 12] = [
    "{\"", "\":", "name", "ab", " a", "é", "\n", "}", "true", "abd", "\": ", "12",
];

/// Every byte, then the words, as a GGUF file of pieces.
fn pieces() -> Tokenizer {
    let specials = ["<unk>", "</s>"].map(str::to_owned);
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let words = WORDS.iter().map(|word| word.replace(' ', "▁"));
    let texts: Vec<String> = specials.into_iter().chain(bytes).chain(words).collect();
    let kinds = [2, 3].into_iter().chain([6; 256]).chain([1; WORDS.len()]);
    let keys = [
        ("tokenizer.ggml.model", Meta::Text("llama")),
        ("tokenizer.ggml.scores", Meta::Floats(vec![0.0; texts.len()])),
        ("tokenizer.ggml.token_type", Meta::Numbers(kinds.collect())),
        ("tokenizer.ggml.tokens", Meta::Texts(texts)),
        ("tokenizer.ggml.eos_token_id", Meta::Number(END as u32)),
    ];
    Tokenizer::open(&file("tokenizer.gguf", &gguf(&keys))).expect("a tokenizer")
}

/// Printable characters, then the words with this sign for spaces, as a `tokenizer.json` with this decoder.
fn characters(decoder: &Value, space: &str) -> Tokenizer {
    let specials = ["<unk>", "</s>"].map(str::to_owned);
    let printable = (' '..='~').map(|character| character.to_string());
    let words = WORDS.iter().map(|word| match (*word, space) {
        ("é", "Ġ") => "Ã©".to_owned(),
        (word, _) => word.to_owned(),
    });
    let texts = specials
        .into_iter()
        .chain(printable.chain(words).map(|text| text.replace(' ', space)));
    let mut vocab = serde_json::Map::new();
    for text in texts {
        let id = vocab.len();
        vocab.entry(text).or_insert(json!(id));
    }
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [{"id": END, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "decoder": decoder,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    Tokenizer::open(&file("tokenizer.json", tokenizer.to_string().as_bytes())).expect("a tokenizer")
}

fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let metaspace = json!({"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "split": true});
    let fallback = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]});
    vec![
        ("GGUF", pieces()),
        ("bytes", characters(&level, "Ġ")),
        ("Metaspace", characters(&metaspace, "▁")),
        ("fallback", characters(&fallback, "▁")),
        ("Fuse", characters(&json!({"type": "Fuse"}), " ")),
    ]
}

const VOCAB: usize = 2 + 256 + WORDS.len();

/// A random answer that follows the grammar; `None` where it is not over after many tokens.
fn answer(tokenizer: &Tokenizer, vocabulary: &GrammarVocabulary, grammar: &Grammar, seed: u64) -> Option<String> {
    let options = SamplingOptions {
        temperature: 1.0,
        seed,
        ..SamplingOptions::default()
    };
    let wishes = Wishes {
        ends: vec![END],
        constraint: Some(vocabulary.constraint(grammar).expect("a grammar")),
        ..Wishes::default()
    };
    let sampler = Sampler::new(options, VOCAB).expect("options");
    let mut answer = Continuation::new(sampler, Some(tokenizer.stream(&[])), wishes).expect("an answer");
    let (mut text, mut mix) = (String::new(), Mix(seed));
    for _ in 0..300 {
        let logits: Vec<f32> = (0..VOCAB).map(|_| 3.0 * mix.signed()).collect();
        let choice = answer.choose(&logits);
        let token = choice.unwrap_or_else(|error| panic!("{error} after {text:?}")).token;
        match answer.take(token).expect("text") {
            Taken::Text(piece) => text.push_str(&piece),
            Taken::Complete(piece) => return Some(text + &piece),
            Taken::End => return Some(text + &answer.finish().text),
            Taken::Stopped(_) => unreachable!("there are no stop texts"),
        }
    }
    None
}

#[test]
fn answers_of_a_schema_are_json_that_it_admits_with_every_kind_of_tokenizer() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "n": {"type": "integer", "minimum": 0, "maximum": 99},
            "ok": {"type": "boolean"},
            "kind": {"enum": ["é", "b"]},
        },
        "required": ["name", "n", "ok", "kind"],
        "additionalProperties": false,
    });
    let grammar = Grammar::json_schema(Path::new("schema.json"), &schema.to_string()).expect("JSON");
    for (name, tokenizer) in tokenizers() {
        let vocabulary = GrammarVocabulary::new(&tokenizer, VOCAB, &[END]).expect("a vocabulary");
        for seed in 0..20 {
            let text =
                answer(&tokenizer, &vocabulary, &grammar, seed).unwrap_or_else(|| panic!("{name}, {seed}: no end"));
            let found: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text:?}"));
            assert!(
                found["name"].as_str().is_some_and(|text| text.chars().count() <= 5),
                "{name}: {text}"
            );
            assert!(found["n"].as_u64().is_some_and(|number| number < 100), "{name}: {text}");
            assert!(found["ok"].is_boolean() && ["é", "b"].contains(&found["kind"].as_str().unwrap_or("")));
            assert_eq!(found.as_object().map(serde_json::Map::len), Some(4), "{name}: {text}");
        }
    }
}

#[test]
fn exactly_the_tokens_that_some_text_of_the_grammar_goes_on_with_are_admitted() {
    let language = ["a", "abc", "abd", "é", "ab: 12", "12true"];
    let rule = language.map(|text| format!("\"{text}\"")).join(" | ");
    let grammar = Grammar::lark(Path::new("words.lark"), format!("start: {rule}"));
    let tokenizer = pieces();
    let ids: Vec<i64> = (0..VOCAB as i64).collect();
    let said = tokenizer.token_bytes(&ids).expect("bytes");
    let vocabulary = GrammarVocabulary::new(&tokenizer, VOCAB, &[END]).expect("a vocabulary");
    // All ways to write the language in tokens.
    let mut open = vec![(vocabulary.constraint(&grammar).expect("a grammar"), Vec::<u8>::new())];
    let mut seen = 0;
    while let Some((mut constraint, text)) = open.pop() {
        let mut logits = vec![0.0; VOCAB + 3];
        constraint.mask(&mut logits).expect("a mask");
        assert!(logits[VOCAB..].iter().all(|logit| logit.is_infinite()));
        for (id, token) in said.iter().enumerate() {
            let longer = [&text[..], &token.bytes[..]].concat();
            let ends = language.iter().any(|word| word.as_bytes() == text);
            let goes_on = language.iter().any(|word| word.as_bytes().starts_with(&longer));
            let expected = if id as i64 == END {
                ends
            } else {
                !token.special && goes_on
            };
            assert_eq!(logits[id] == 0.0, expected, "{:?} after {text:?}", token.bytes);
            if id as i64 != END && expected {
                let mut next = constraint.clone();
                let only = language
                    .iter()
                    .filter(|word| word.as_bytes().starts_with(&longer))
                    .count()
                    == 1;
                let complete = only && language.iter().any(|word| word.as_bytes() == longer);
                assert_eq!(next.accept(id as i64).expect("a token"), complete, "{longer:?}");
                seen += 1;
                if !complete {
                    open.push((next, longer));
                }
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn wrong_schemas_and_grammars_are_refused_with_the_name_of_their_file() {
    let tokenizer = pieces();
    let vocabulary = GrammarVocabulary::new(&tokenizer, VOCAB, &[]).expect("a vocabulary");
    let schema = |text: &str| Grammar::json_schema(Path::new("the-schema.json"), text);
    let lark = |text: &str| Ok(Grammar::lark(Path::new("the-grammar.lark"), text.to_owned()));
    for (grammar, about) in [
        (schema("{"), "not JSON"),
        (schema("[1]"), "the-schema.json"),
        (schema(r#"{"type": "objekt"}"#), "objekt"),
        (schema(r##"{"$ref": "#/$defs/none"}"##), "none"),
        (schema(r#"{"type": "string", "pattern": "("}"#), "the-schema.json"),
        (
            schema(r#"{"minimum": 3, "maximum": 1, "type": "integer"}"#),
            "the-schema.json",
        ),
        (schema(r#"{"type": "integer", "multipleOf": 7436429}"#), "multipleOf"),
        (
            lark("start: %json {\"type\": \"integer\", \"multipleOf\": 7436429}"),
            "multipleOf",
        ),
        (lark("start: \"a\" | nothing"), "nothing"),
        (lark("root ::= \"a\""), "the-grammar.lark"),
        (lark(""), "the-grammar.lark"),
    ] {
        let made = grammar.and_then(|grammar| vocabulary.constraint(&grammar));
        let said = made.expect_err(about).to_string();
        assert!(said.starts_with("the-") && said.contains(about), "{said}");
        assert!(!said.contains("backtrace"), "{said}");
    }
}

#[test]
fn an_answer_is_refused_a_token_that_its_grammar_does_not_admit() {
    let tokenizer = pieces();
    let vocabulary = GrammarVocabulary::new(&tokenizer, VOCAB, &[END]).expect("a vocabulary");
    let grammar = Grammar::json_object();
    let mut constraint = vocabulary.constraint(&grammar).expect("a grammar");
    assert!(constraint.accept(END).is_err());
    let wishes = Wishes {
        constraint: Some(vocabulary.constraint(&grammar).expect("a grammar")),
        ..Wishes::default()
    };
    let sampler = Sampler::new(SamplingOptions::default(), VOCAB).expect("options");
    let mut answer = Continuation::new(sampler, None, wishes).expect("an answer");
    let said = answer
        .choose(&vec![f32::NEG_INFINITY; VOCAB])
        .expect_err("none")
        .to_string();
    assert!(said.contains("rule out"), "{said}");
}

#[test]
fn rules_that_lead_far_from_one_to_the_next_are_read() {
    let vocabulary = GrammarVocabulary::new(&pieces(), VOCAB, &[END]).expect("a vocabulary");
    let rules: String = (0..2000).map(|n| format!("r{n}: r{}\n", n + 1)).collect();
    let rules = format!("start: r0\n{rules}r2000: \"a\"");
    vocabulary
        .constraint(&Grammar::lark(Path::new("far.lark"), rules))
        .expect("a grammar");
    let definitions: serde_json::Map<String, Value> = (0..1000)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/{}", n + 1)});
            (n.to_string(), json!({"type": "array", "prefixItems": [next]}))
        })
        .chain([("1000".to_owned(), json!({"type": "null"}))])
        .collect();
    let schema = json!({"$ref": "#/$defs/0", "$defs": definitions});
    let schema = Grammar::json_schema(Path::new("far.json"), &schema.to_string()).expect("JSON");
    vocabulary.constraint(&schema).expect("a grammar");
}

#[test]
fn a_grammar_of_any_length_is_refused() {
    let vocabulary = GrammarVocabulary::new(&pieces(), VOCAB, &[END]).expect("a vocabulary");
    let long = format!("start: \"a\" //{}", " ".repeat(super::limits::LONGEST_TEXT));
    let made = vocabulary.constraint(&Grammar::lark(Path::new("long.lark"), long));
    let said = made.expect_err("it is too long").to_string();
    assert_eq!(said, "long.lark: the grammar is longer than 4 MB");
}

#[test]
fn a_grammar_with_too_many_symbols_is_refused() {
    let vocabulary = GrammarVocabulary::new(&pieces(), VOCAB, &[END]).expect("a vocabulary");
    let all: String = (0..70_000).map(|n| format!(" r{n}")).collect();
    let rules: String = (0..70_000).map(|n| format!("r{n}: \"a\" | \"b\"\n")).collect();
    let rules = format!("start:{all}\n{rules}");
    let made = vocabulary.constraint(&Grammar::lark(Path::new("many.lark"), rules));
    let said = made.expect_err("it has too many").to_string();
    assert!(said.contains("grammar size (number of symbols) too big"), "{said}");
}

#[test]
fn what_is_found_along_a_draft_is_what_is_found_token_by_token() {
    let vocabulary = GrammarVocabulary::new(&pieces(), VOCAB, &[END]).expect("a vocabulary");
    let grammar = Grammar::lark(Path::new("words.lark"), "start: \"ab\" \"c\"* \"d\"?".to_owned());
    let start = vocabulary.constraint(&grammar).expect("a grammar");
    let letter = |letter: char| 2 + letter as i64;
    let mut mix = Mix(5);
    let mut random = |most: u64| mix.next() % most;
    for _ in 0..200 {
        let (mut ahead, mut plain) = (start.clone(), start.clone());
        let more = (0..random(5)).map(|_| letter(['a', 'b', 'c', 'd'][random(4) as usize]));
        let draft: Vec<i64> = [letter('a'), letter('b')].into_iter().chain(more).collect();
        ahead.look_ahead(&draft);
        for token in &draft {
            let masks = [&mut ahead, &mut plain].map(|constraint| {
                let mut logits = vec![0.0; VOCAB];
                constraint.mask(&mut logits).expect("a mask");
                logits
            });
            assert_eq!(masks[0], masks[1]);
            if masks[0][*token as usize] != 0.0 {
                break;
            }
            ahead.push(*token);
            if plain.accept(*token).expect("a token") {
                assert!(ahead.is_complete().expect("a token"));
                break;
            }
            assert!(!ahead.is_complete().expect("a token"));
        }
    }
}

#[test]
fn an_answer_whose_parser_panics_fails_and_no_other() {
    let vocabulary = GrammarVocabulary::new(&pieces(), VOCAB, &[END]).expect("a vocabulary");
    let grammar = Grammar::lark(Path::new("words.lark"), "start: /[a-z]+/".to_owned());
    let (mut broken, mut whole) = (
        vocabulary.constraint(&grammar).expect("a grammar"),
        vocabulary.constraint(&grammar).expect("a grammar"),
    );
    broken.look_ahead(&[]);
    broken.wait(std::time::Duration::from_secs(60));
    broken.slot.lose();
    broken.push(2 + i64::from(b'a'));
    let said = broken.is_complete().expect_err("it panicked").to_string();
    assert_eq!(said, "words.lark: the parser of grammars failed on it");
    assert!(!whole.is_complete().expect("a mask"));
    let (tell, told) = std::sync::mpsc::channel();
    super::lost::guarded(|| panic!("a bug"), move || tell.send(7).expect("the test"));
    assert_eq!(told.recv(), Ok(7));
}
