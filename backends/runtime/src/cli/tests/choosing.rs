//! Steps that choose tokens: answers, and what is read of them, are those of a sampler.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::{generation::letters, json};
use crate::{
    code::Code,
    testing::{self, CHOSEN, CONTEXT, adder_descriptor, choosing_adder, choosing_rememberer, fresh},
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
fn an_answer_that_is_cut_off_is_read_as_far_as_it_was_given() {
    for codes in pairs(&[]) {
        let line = "generate --prompt-tokens 3,1 -n 12 --samples 3 --temperature 1 --top-k 8 --json";
        let [one, other] = codes.map(|code| json(code, line)["samples"].clone());
        assert_eq!(one, other);
    }
}
