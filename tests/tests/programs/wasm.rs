//! Programs for WebAssembly under wasmtime and Node.js: known answers, and what every verb says on this machine. The other tests of whole
//! programs run the same way where `SEQC_TEST_TARGET` is `wasm`.

use super::{
    both::{Both, check_checkpoints, check_policies, refused},
    chat,
};
use seqc_tests::{
    command,
    program::{Program, fresh_file, json},
};
use std::fs;

const TARGET: &str = "wasm";

#[test]
fn checkpoints_give_the_numbers_of_transformers() {
    check_checkpoints(TARGET);
}

#[test]
fn policies_keep_and_choose_what_is_known() {
    check_policies(TARGET);
}

#[test]
fn every_verb_says_what_it_says_on_this_machine() {
    let both = Both::new(TARGET);
    both.agree_on_verbs();
    both.agree_on_conversations("--max-tokens 6");
    both.agree_on_states("");
}

#[test]
fn node_runs_what_wasmtime_runs() {
    let both = Both::new(TARGET);
    let node = Program {
        emulator: Some(seqc_tests::root().join("scripts").join("wasi.mjs")),
        ..both.there.clone()
    };
    let words = both.words("generate --json --prompt Once -n 24");
    let [here, there] = [&both.here, &node].map(|program| json(program.run(&words)));
    assert_eq!(here["tokens"], there["tokens"]);
}

#[test]
fn what_takes_threads_processes_or_sockets_is_not_there() {
    let both = Both::new(TARGET);
    let there = |line: &str| refused(both.there.run(&both.words(line)));
    assert!(there("serve").contains("unrecognized subcommand"));
    let said = there("generate --prompt Once -n 1 -t 2");
    assert!(said.contains("one thread"), "{said}");
    let said = there("generate --prompt Once -n 1 --draft ./other");
    assert!(said.contains("no other processes"), "{said}");
    let said = there("generate --prompt Once -n 1 --cache-file .");
    assert!(said.contains("--cache-file"), "{said}");
}

#[test]
fn builds_that_are_not_there_say_so() {
    let model = fresh_file("bytes.yaml");
    fs::write(&model, chat::MODEL).expect("written");
    let (model, output) = (model.display().to_string(), fresh_file("never").display().to_string());
    let build = |more: &[&str]| {
        let words = ["build", &model, "--target", TARGET, "-o", &output];
        refused(command::seqc(&[&words[..], more].concat()))
    };
    assert!(build(&["--emit", "lib"]).contains("there are no libraries for wasm"));
    assert!(build(&["--embed-weights"]).contains("--weights"));
}
