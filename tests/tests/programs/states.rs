//! Models with states of every kind: what is cut, drafted or found in the prefix cache is what reading from the start gives.

use serde_json::{Value, json};

use super::serve::Server;
use seqc_tests::program::{self, Program, Way, built, fresh_file, integers, list};

const HEAD: &str = "sizes: {d: 32, vocab: 272}
weights: {random: 5}
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
";
const TAIL: &str = "  - head: {vocab: vocab}
    block: final_norm
";

/// A small model of random weights.
#[derive(Clone, Copy)]
pub(super) struct Model {
    pub(super) name: &'static str,
    /// Its stack between the embedding and the head.
    layers: &'static str,
}

/// Recurrent states, a window, caches that layers share, and caches beside recurrent states.
pub(super) const MODELS: [Model; 5] = [
    Model {
        name: "attention",
        layers: "  - attention: {heads: 2, kv_heads: 1}\n  - swiglu: {hidden: 48}\n",
    },
    Model {
        name: "mamba",
        layers: "  - mamba: {}\n  - mamba: {}\n",
    },
    Model {
        name: "deltanet",
        layers: "  - gated_deltanet: {heads: 2, hd: 16}\n  - swiglu: {hidden: 48}\n",
    },
    Model {
        name: "hybrid",
        layers: "  - mamba: {}\n  - attention: {heads: 2, kv_heads: 1}\n  - mamba: {}\n",
    },
    Model {
        name: "sambay",
        layers: "  - mamba: {}
  - attention: {heads: 2, kv_heads: 1, window: 9}
  - mamba: {}
    tap: {memory: y}
  - attention: {heads: 2, kv_heads: 1}
    tap: {keys: k, values: v}
  - gmu: {}
    in: {m: memory}
  - cross_attention: {heads: 2}
    in: {k: keys, v: values}
",
    },
];

pub(super) fn program(model: Model) -> Program {
    let Model { name, layers } = model;
    built(&format!("states-{name}"), || {
        let path = seqc_tests::scratch("models").join(format!("states-{name}.yaml"));
        let text = format!("version: 1\nmodel: states-{name}\n{HEAD}{layers}{TAIL}");
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
        path
    })
}

/// Numbers that depend on a seed alone.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn tokens(&mut self, count: usize) -> Vec<i64> {
        (0..count).map(|_| self.below(272) as i64).collect()
    }
}

fn generate(program: &Program, words: &str) -> Value {
    let line = format!("generate --ignore-eos --json {words}");
    program::json(program.run(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()))
}

#[test]
fn a_state_that_is_cut_goes_on_from_there() {
    for model in MODELS {
        let (program, tokens) = (program(model), Numbers(1).tokens(100));
        let whole = program.logits(&tokens, Way::default());
        let others = [&tokens[..70], &Numbers(2).tokens(80)].concat();
        let save = fresh_file("state");
        program.logits(
            &others,
            Way {
                save: Some(&save),
                ..Way::default()
            },
        );
        for cut in [0, 3, 64, 69, 70] {
            let way = Way {
                load: Some(&save),
                truncate: Some(cut),
                ..Way::default()
            };
            let off = program.logits(&tokens[cut..], way).relative(&whole.slice(cut, 100));
            assert!(off <= 1e-5, "{}, cut at {cut}: off by {off:e}", model.name);
        }
    }
}

#[test]
fn answers_with_drafts_are_those_without() {
    for model in MODELS {
        let (program, mut accepted) = (program(model), 0);
        for seed in 0..4 {
            let tokens = Numbers(seed).tokens(20);
            let prompt = list(&[&tokens[..], &tokens].concat());
            // Among few tokens, the same ones follow each other often.
            let how = [
                "--logit-bias 5=99 --logit-bias 6=99 --logit-bias 7=99",
                "--temperature 0.3",
                "--temperature 0.6 --top-k 9",
                "--repetition-penalty 1.1",
            ][seed as usize];
            let words = format!("--prompt-tokens {prompt} -n 80 --seed {seed} {how}");
            let plain = generate(&program, &words);
            for most in [3, 8] {
                let state = fresh_file("state");
                let state = state.display();
                let found = generate(
                    &program,
                    &format!("{words} --speculate lookup:{most} --save-state {state}"),
                );
                assert_eq!(found["tokens"], plain["tokens"], "{}: {words}", model.name);
                accepted += found["speculation"]["accepted"].as_u64().unwrap_or_default();
                let all = [&tokens[..], &tokens, &integers(&plain["tokens"])].concat();
                let rest = generate(&program, &format!("-n 5 --load-state {state}"));
                let fresh = generate(&program, &format!("--prompt-tokens {} -n 5", list(&all)));
                assert_eq!(rest["tokens"], fresh["tokens"], "{}: {words}", model.name);
            }
        }
        assert!(accepted > 5, "{}: {accepted}", model.name);
    }
}

#[test]
fn answers_with_a_model_that_drafts_are_those_without() {
    let [attention, mamba, _, hybrid, _] = MODELS.map(program);
    let others = [
        (&hybrid, &mamba),
        (&mamba, &attention),
        (&attention, &attention),
        (&mamba, &mamba),
    ];
    for (program, drafts) in others {
        for (seed, how) in ["", "--temperature 0.5", "--temperature 0.9 --top-p 0.9 --stop xyz"]
            .iter()
            .enumerate()
        {
            let prompt = list(&Numbers(seed as u64).tokens(9));
            let tokenizer = super::serve::tokenizer();
            let words = format!(
                "--prompt-tokens {prompt} -n 50 --seed {seed} --tokenizer {} {how}",
                tokenizer.display()
            );
            let plain = generate(program, &words);
            let found = generate(
                program,
                &format!("{words} --draft {} --draft-tokens 3", drafts.path.display()),
            );
            assert_eq!((&found["tokens"], &found["text"]), (&plain["tokens"], &plain["text"]));
            let count = |what: &str| found["speculation"][what].as_u64().unwrap_or_default();
            let (drafted, accepted) = (count("drafted"), count("accepted"));
            // A model knows itself, where the most likely token is taken.
            let itself = program.path == drafts.path && how.is_empty();
            let known = !itself || 10 * accepted > 9 * drafted;
            assert!(drafted > 0 && known, "{accepted} of {drafted}");
        }
    }
    let said = |words: &str| {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        attention.run(&words).refused()
    };
    let begin = "generate --prompt-tokens 1,2 --draft";
    let other = seqc_tests::fixture::Fixture::open("llama").program();
    let why = said(&format!("{begin} {}", other.path.display()));
    assert!(why.contains("same tokenizer"), "{why}");
    let why = said(&format!("{begin} /nowhere/at/all"));
    assert!(why.contains("/nowhere/at/all"), "{why}");
}

/// Prompts of a random tree: each begins as one before, or with an answer to it, and goes on by itself.
pub(super) fn tree(count: usize, answers: impl Fn(&[i64]) -> Vec<i64>) -> Vec<Vec<i64>> {
    let mut numbers = Numbers(7);
    let mut prompts = vec![numbers.tokens(30)];
    while prompts.len() < count {
        let from = prompts[numbers.below(prompts.len())].clone();
        let mut prompt = match numbers.below(4) {
            0 => [&from[..], &answers(&from)].concat(),
            _ => from[..numbers.below(from.len() + 1)].to_vec(),
        };
        let own = 1 + numbers.below(25);
        prompt.extend(numbers.tokens(own));
        prompts.push(prompt);
    }
    prompts
}

/// The tokens of a greedy answer.
pub(super) fn answer(server: &Server, prompt: &[i64]) -> Vec<i64> {
    let body = json!({"prompt": prompt, "max_tokens": 16, "temperature": 0, "ignore_eos": true, "return_tokens": true});
    let said = server.post("/v1/completions", &body.to_string());
    let tokens = integers(&said.json()["choices"][0]["tokens"]);
    assert_eq!(tokens.len(), 16, "{said:?}");
    tokens
}

pub(super) fn number(server: &Server, name: &str) -> u64 {
    let metrics = server.get("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{name}: {metrics}"))
}

#[test]
fn the_prefix_cache_changes_no_answer_with_drafts() {
    for model in MODELS {
        let program = program(model);
        let plain = start(&program, &["--prefix-cache", "0"]);
        let prompts = tree(40, |prompt| answer(&plain, prompt));
        let expected: Vec<Vec<i64>> = prompts.iter().map(|prompt| answer(&plain, prompt)).collect();
        for words in [
            &["--snapshot-interval", "16", "--speculate", "lookup:5"][..],
            &[
                "--snapshot-interval",
                "1000",
                "--speculate",
                "lookup",
                "--prefix-cache",
                "1",
            ],
        ] {
            let server = start(&program, words);
            for (prompt, expected) in prompts.iter().zip(&expected) {
                let read = number(&server, "seqc_prompt_tokens_total");
                assert_eq!(
                    answer(&server, prompt),
                    *expected,
                    "{} {words:?}: {prompt:?}",
                    model.name
                );
                let once = number(&server, "seqc_prompt_tokens_total");
                assert!(once - read <= prompt.len() as u64);
                // The first repetition reads nothing.
                assert_eq!(
                    answer(&server, prompt),
                    *expected,
                    "{} {words:?}: {prompt:?} again",
                    model.name
                );
                assert_eq!(
                    number(&server, "seqc_prompt_tokens_total"),
                    once,
                    "{} {words:?}",
                    model.name
                );
            }
            let tokens = number(&server, "seqc_prefix_cache_tokens_total");
            let all: usize = prompts.iter().map(Vec::len).sum();
            assert!(tokens as usize > all, "{} {words:?}: {tokens} of {all}", model.name);
            assert!(
                number(&server, "seqc_accepted_tokens_total") > 0,
                "{} {words:?}",
                model.name
            );
        }
    }
}

pub(super) fn start(program: &Program, words: &[&str]) -> Server {
    Server::start(program, &super::serve::tokenizer(), words)
}
