//! The prefix cache of `serve`: prompts that begin alike get the answers that they get without it, and repeated ones are found.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    batches::shrunk,
    serve::{Server, tokenizer},
};
use seqc_tests::{fixture::Fixture, program::Program, root};

/// Prompts of a tree: each goes on from somewhere in an earlier one.
fn tree(count: usize, vocab: u64) -> Vec<Vec<u64>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut prompts: Vec<Vec<u64>> = Vec::new();
    for n in 0..count as u64 {
        let mut prompt = match n {
            0 => Vec::new(),
            _ => prompts[below(n) as usize].clone(),
        };
        prompt.truncate(below(prompt.len() as u64 + 1) as usize);
        let more = 1 + below(40);
        prompt.extend((0..more).map(|_| below(vocab)));
        prompt.truncate(150);
        prompts.push(prompt);
    }
    prompts
}

/// The tokens of a greedy answer.
fn answer(server: &Server, prompt: &[u64]) -> Value {
    let body = json!({"prompt": prompt, "max_tokens": 6, "temperature": 0, "ignore_eos": true, "return_tokens": true});
    let said = server.post("/v1/completions", &body.to_string());
    assert_eq!(said.status, 200, "{said:?}");
    said.json()["choices"][0]["tokens"].clone()
}

/// A counter of `/metrics`.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").body;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{name} in {text}"))
}

/// Answers to `count` prompts of a tree, and to each of them once more, with and without the cache.
fn check(name: &str, program: &Program, vocab: u64, count: usize) {
    let tokenizer = tokenizer();
    let prompts = tree(count, vocab);
    let without = Server::start(program, &tokenizer, &["--prefix-cache", "0"]);
    let expected: Vec<Value> = prompts.iter().map(|prompt| answer(&without, prompt)).collect();
    let different: HashSet<String> = expected.iter().map(Value::to_string).collect();
    assert!(different.len() > count / 4, "{name}: nearly all answers are alike");
    let (plain, drafted) = (&[][..], &["--speculate", "lookup"][..]);
    for (interval, more) in [("1", plain), ("16", plain), ("16", drafted), ("100000", drafted)] {
        let words = [&["--snapshot-interval", interval], more].concat();
        let server = Server::start(program, &tokenizer, &words);
        for (n, (prompt, expected)) in prompts.iter().zip(&expected).enumerate() {
            let how = format!("{name}, {words:?}, prompt {n}");
            assert_eq!(answer(&server, prompt), *expected, "{how}");
            let hits = metric(&server, "seqc_prefix_cache_hits_total");
            let tokens = metric(&server, "seqc_prefix_cache_tokens_total");
            assert_eq!(answer(&server, prompt), *expected, "{how}, repeated");
            let hit = metric(&server, "seqc_prefix_cache_hits_total") - hits;
            assert_eq!(hit, 1, "{how}: its repetition is no hit");
            let found = metric(&server, "seqc_prefix_cache_tokens_total") - tokens;
            assert_eq!(found, prompt.len() as u64, "{how}: tokens found at its repetition");
        }
        assert!(metric(&server, "seqc_prefix_cache_bytes") > 0);
    }
}

/// A fixture: a Llama, a Mamba, a hybrid of both.
fn check_fixture(name: &'static str) {
    let fixture = Fixture::open(name);
    check(name, &fixture.program(), 90, 40);
}

/// A shipped model of one layer of each kind.
fn check_shipped(name: &str) {
    let model = root().join("specs/models").join(format!("{name}.yaml"));
    check(name, &shrunk(&model), 512, 40);
}

#[test]
fn a_llama_answers_as_without_a_prefix_cache() {
    check_fixture("llama");
}

#[test]
fn a_mamba_answers_as_without_a_prefix_cache() {
    check_fixture("mamba");
}

#[test]
fn a_hybrid_answers_as_without_a_prefix_cache() {
    check_fixture("jamba");
}

#[test]
fn sambay_answers_as_without_a_prefix_cache() {
    check_shipped("sambay-130m");
}

#[test]
fn a_gated_deltanet_answers_as_without_a_prefix_cache() {
    check_shipped("deltanet-130m");
}

/// The same over 200 prompts.
#[test]
#[ignore = "takes long"]
fn two_hundred_prompts_are_answered_as_without_a_prefix_cache() {
    for name in ["llama", "mamba", "jamba"] {
        check(name, &Fixture::open(name).program(), 90, 200);
    }
    for name in ["sambay-130m", "deltanet-130m"] {
        let model = root().join("specs/models").join(format!("{name}.yaml"));
        check(name, &shrunk(&model), 512, 200);
    }
}
