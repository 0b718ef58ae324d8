//! Steps that choose tokens: answers, and what is read of them, are those of a sampler.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::{generation::letters, json, ok};
use crate::{
    answer::{Answer, Wish},
    code::Code,
    generation::{Continuation, Sampler, SamplingOptions, Wishes, greedy},
    inputs::Values,
    model::{Model, Options},
    session::{Cut, Session, Wanted},
    testing::{self, CHOSEN, CONTEXT, VOCAB, adder_descriptor, choosing_adder, choosing_rememberer, fresh, sums},
};

/// Models by whose steps tokens are chosen, each beside the same whose steps choose none.
fn pairs(ends: &[i64]) -> [[Code; 2]; 2] {
    let mut adder = adder_descriptor("adder");
    adder.ends = ends.to_vec();
    let mut rememberer = adder.clone();
    rememberer.model = "rememberer".to_owned();
    rememberer.hash = "hash of rememberer".to_owned();
    rememberer.states.remove(0);
    [
        [testing::code(&adder, testing::add), choosing_adder(ends)],
        [testing::code(&rememberer, testing::remember), choosing_rememberer(ends)],
    ]
}

/// Both say the same of a line, and of what goes on from the state behind it.
fn agree(codes: [Code; 2], line: &str) -> Value {
    let said = codes.map(|code| {
        let state = fresh("state");
        let begun = json(code, &format!("{line} --json --save-state {}", state.display()));
        let on = format!("generate -n 20 --ignore-eos --json --load-state {}", state.display());
        let on = json(code, &on);
        ["tokens", "text", "stop"].map(|key| [begun[key].clone(), on[key].clone()])
    });
    assert_eq!(said[0], said[1], "{line}");
    said[0][2][0].clone()
}

#[test]
fn answers_are_those_of_the_sampler_with_every_seed() {
    let before = CHOSEN.load(Ordering::Relaxed);
    for codes in pairs(&[]) {
        for case in 0..40 {
            let how = [
                "",
                "--temperature 0.6 --top-k 4",
                "--temperature 2 --top-k 64",
                // Steps leave these to the host.
                "--temperature 0.05 --top-k 3",
                "--temperature 2",
                "--temperature 2 --top-k 5 --min-p 0.1",
                "--temperature 2 --top-k 5 --repetition-penalty 1.2",
                "--presence-penalty 1",
            ][case % 8];
            let count = 1 + case * 7 % 50;
            let line = format!(
                "generate --prompt-tokens 4,1,{} -n {count} --seed {case} {how}",
                case % 16
            );
            assert_eq!(agree(codes, &line), "length");
        }
    }
    let chosen = CHOSEN.load(Ordering::Relaxed) - before;
    assert!(chosen > 400, "{chosen} tokens were chosen by steps");
}

#[test]
fn answers_end_in_the_middle_of_a_step() {
    for end in 0..16 {
        for codes in pairs(&[end]) {
            for how in ["", "--temperature 1.2 --top-k 9 --seed 5"] {
                agree(codes, &format!("generate --prompt-tokens 4,1 -n 40 {how}"));
            }
        }
    }
    let prompt = vec!["0"; CONTEXT - 7].join(",");
    for codes in pairs(&[]) {
        let line = format!("generate --prompt-tokens {prompt} -n 40 --json");
        let [one, other] = codes.map(|code| {
            let said = json(code, &line);
            [said["tokens"].clone(), said["stop"].clone()]
        });
        assert_eq!(one, other);
        assert_eq!(one[1], "context");
    }
}

#[test]
fn what_a_step_read_behind_a_stop_text_is_forgotten() {
    let tokenizer = letters();
    let mut stopped = 0;
    for (n, stop) in ["mi", "aa", "é", "ié", "bc", "xx"].into_iter().enumerate() {
        for codes in pairs(&[]) {
            for how in ["", "--temperature 1.5 --top-k 12"] {
                let line = format!(
                    "generate --prompt-tokens 1,2 -n 60 --seed {n} --tokenizer {tokenizer} --stop {stop} {how}"
                );
                stopped += usize::from(agree(codes, &line) == "text");
            }
        }
    }
    assert!(stopped > 6, "{stopped} answers were stopped");
}

#[test]
fn several_answers_at_once_are_those_of_the_sampler() {
    for codes in pairs(&[]) {
        let line = "generate --prompt-tokens 3,1 -n 12 --samples 3 --temperature 1 --top-k 8";
        let [one, other] = codes.map(|code| ok(code, line));
        assert_eq!(one, other);
    }
}

#[test]
fn an_answer_that_is_given_up_is_read_as_far_as_it_was_given() {
    for [_, code] in pairs(&[]) {
        let model = Model::load(code, &Options::default()).expect("a model");
        for given in 1..40 {
            let mut session = Session::new(&model).expect("memory");
            let prompt = [Values::I64(vec![4, 1])];
            let read = session.feed(&prompt, &Cut::default(), Wanted::Last, |_| Ok(()));
            read.expect("a prompt");
            session.begin_answer();
            let sampler = Sampler::new(SamplingOptions::default(), VOCAB).expect("options");
            let wish = Wish {
                continuation: Continuation::new(sampler, None, Wishes::default()).expect("no stop texts"),
                max_tokens: 60,
                logits: 0,
                speculation: None,
            };
            let mut answer = Answer::new(&session, wish);
            for _ in 0..given {
                answer.next(&mut session).expect("a token");
            }
            answer.settle(&mut session).expect("memory");
            let all = [&[4, 1], &sums(&[4, 1], given + 1)[..]].concat();
            let (next, all) = all.split_last().expect("tokens");
            assert_eq!(session.tokens(), Some(all));
            let logits = session.last(0).expect("what was read last");
            assert_eq!(greedy(logits) as i64, *next, "{given} tokens");
        }
    }
}
