//! Rendered conversations: those that `transformers` was asked for, and templates that are wrong or do not end.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::testing::{Meta, file, gguf};

fn with_template(template: &str) -> Tokenizer {
    let keys = [
        ("tokenizer.ggml.model", Meta::Text("llama")),
        (
            "tokenizer.ggml.tokens",
            Meta::Texts(vec!["<s>".to_owned(), "</s>".to_owned()]),
        ),
        ("tokenizer.ggml.bos_token_id", Meta::Number(0)),
        ("tokenizer.ggml.eos_token_id", Meta::Number(1)),
        ("tokenizer.ggml.add_bos_token", Meta::Truth(true)),
        ("tokenizer.chat_template", Meta::Text(template)),
    ];
    Tokenizer::open(&file("chat.gguf", &gguf(&keys))).expect("a tokenizer")
}

fn chat(template: &str, system: Option<&str>) -> Result<String> {
    let system = system.map(|content| Message::new("system", content));
    let messages: Vec<Message> = system.into_iter().chain([Message::new("user", "hi there")]).collect();
    render(&with_template(template), &messages, &Given::default())
}

#[test]
fn conversations_are_what_transformers_makes_of_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/chat");
    let own = ["renderings.json", "given.json"].map(|name| folder.join(name));
    let more = std::env::var_os("SEQC_CHAT_CASES").map(PathBuf::from);
    let mut tried = 0;
    let mut differ = Vec::new();
    for path in own.into_iter().chain(more) {
        let text = std::fs::read_to_string(path).expect("recorded cases");
        let recorded: Value = serde_json::from_str(&text).expect("JSON");
        let cases = recorded["cases"].as_array().expect("cases");
        tried += cases.len();
        differ.extend(cases.iter().filter_map(|case| difference(&recorded, case)));
    }
    assert!(tried > 250, "{tried} cases");
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

/// What is rendered otherwise than recorded.
fn difference(recorded: &Value, case: &Value) -> Option<String> {
    let template = case["template"].as_str().expect("a template");
    let name = case["messages"].as_str().expect("a name");
    let messages: Vec<Message> = serde_json::from_value(recorded["messages"][name].clone()).expect("messages");
    let given = &recorded["given"][case["given"].as_str().unwrap_or_default()];
    let some = |name: &str| given.get(name).cloned();
    let variables = given["variables"].as_object().cloned().unwrap_or_default();
    let given = Given {
        tools: some("tools"),
        documents: some("documents"),
        variables: variables.into_iter().collect(),
    };
    match (
        case["text"].as_str(),
        render(&with_template(template), &messages, &given),
    ) {
        (Some(expected), Ok(found)) if expected == found => None,
        (None, Err(_)) => None,
        (expected, found) => Some(format!("{name} {case} wanted {expected:?}\n  found  {found:?}")),
    }
}

#[test]
fn what_is_no_text_and_what_is_missing_is_as_in_python() {
    for (template, text) in [
        ("{{ [1, 'a'] | trim }}", "[1, 'a']"),
        ("{{ '--a-' | trim(chars='-') }}", "a"),
        ("{{ [['a'], 2] | join(d=' ') }}", "['a'] 2"),
        ("{{ messages | join(', ', attribute='role') }}", "user"),
        ("{{ ['a'] | upper }}", "['A']"),
        (
            "{{ nothing | length }}{{ nothing | count }}{{ nothing | first }}{{ [3, 4] | first }}",
            "003",
        ),
        ("a\r\nb\rc", "a\nb\nc"),
    ] {
        assert_eq!(chat(template, None).expect(template), text, "{template:?}");
    }
}

#[test]
fn templates_may_ask_for_the_time() {
    let template = "{% if add_generation_prompt %}{{ strftime_now('%Y').isdigit() }}{% endif %}{{ messages[0].content.strip() | upper }}";
    assert_eq!(chat(template, Some(" be brief ")).expect("a chat"), "TrueBE BRIEF");
}

#[test]
fn templates_that_are_wrong_or_do_not_end_are_refused() {
    let nested = "{{ ".to_owned() + &"(".repeat(50_000) + "1" + &")".repeat(50_000) + " }}";
    let wide = "{% for a in range(100000) %}".repeat(9) + &"{% endfor %}".repeat(9);
    let cases = [
        "{{ raise_exception('no system message, please') }}",
        "{% for m in messages %}",
        "{% generation %}",
        "{% endgeneration %}",
        "{{ nothing.at.all }}",
        "{{ strftime_now('%c' * 1000) }}{{ none.x }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(a=[]) %}{% for i in range(2000) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a | tojson }}",
        "{{ messages | tojson(indent=1000000000) }}",
        &nested,
        &wide,
        &"x".repeat(LONGEST + 1),
    ];
    for template in cases {
        let said = chat(template, None)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(said.contains("template"), "{:.60}: {said}", template);
    }
    let said = chat(cases[0], None).expect_err("refused").to_string();
    assert!(said.contains("no system message, please"), "{said}");
    assert!(
        said.contains("tokenizer.chat_template of") && said.contains("chat.gguf"),
        "{said}"
    );
}

#[test]
fn doubling_texts_are_bounded() {
    let doubling = "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s | length }}";
    let said = chat(doubling, None).expect_err("refused").to_string();
    assert!(said.contains("too much memory"), "{said}");
}
