//! Caches in a file: the same numbers as in memory, of which only a set amount is used.

use std::fs;

use seqc_tests::{
    program::{Program, built, fresh_file, list},
    rows::Rows,
    scratch,
};
use serde_json::Value;

/// A cache that keeps everything, of which a token sees little, and one that it sees all of; 2 KB for each token.
const MODEL: &str = "version: 1
model: far
use: [far.seq]
sizes: {d: 32, vocab: 16}
weights: {random: 1}
cache: [{policy: far, on: seldom}]
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
  - attention: {heads: 2, kv_heads: 2, hd: 120}
    name: seldom
  - attention: {heads: 1, kv_heads: 1, hd: 16}
  - head: {vocab: vocab}
    block: none
";
const POLICY: &str = "/// All entries stay; a token sees the `first` ones and the `near` newest.
cache far(; first = 8, near = 64) {
  see(age < near || slot < first)
}
";
/// Tokens whose caches are more than twice what may be in memory.
const TOKENS: usize = 20_000;
const RESIDENT: u64 = 16 << 20;

fn program() -> Program {
    built("cache-files", || {
        let dir = scratch("cache-files");
        fs::write(dir.join("far.seq"), POLICY).expect("a policy");
        fs::write(dir.join("far.yaml"), MODEL).expect("a model");
        dir.join("far.yaml")
    })
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The options for caches in a file.
fn in_a_file() -> String {
    format!(
        "--cache-file {} --cache-resident 16M",
        scratch("cache-files-here").display()
    )
}

#[test]
fn logits_are_those_of_caches_in_memory_bit_by_bit() {
    let program = program();
    let tokens: Vec<i64> = (0..TOKENS as i64).map(|n| (n * n / 7) % 16).collect();
    let (file, saved) = (fresh_file("safetensors"), fresh_file("state"));
    let read = |tokens: &[i64], options: &str| {
        let line = format!("logits --output {} --threads 2 {options}", file.display());
        let mut args = words(&line);
        args.extend(["--tokens".to_owned(), list(tokens)]);
        program.run(&args).ok();
        let rows = Rows::read_any(&file, &["logits"]);
        fs::remove_file(&file).ok();
        rows
    };
    let (first, rest) = tokens.split_at(TOKENS - 500);
    let known = [read(first, &format!("--save-state {}", saved.display())), {
        let rows = read(rest, &format!("--load-state {} --chunk 77", saved.display()));
        fs::remove_file(&saved).ok();
        rows
    }];
    let here = in_a_file();
    let got = [
        read(first, &format!("{here} --save-state {}", saved.display())),
        read(rest, &format!("{here} --load-state {} --chunk 77", saved.display())),
    ];
    fs::remove_file(&saved).ok();
    assert_eq!(got, known);
    let left: Vec<_> = fs::read_dir(scratch("cache-files-here")).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn memory_is_what_was_allowed_whatever_the_context() {
    let program = program();
    let peak = |options: &str| {
        let answer = program.run(&words(&format!(
            "bench -p 0 -n 8 -d {TOKENS} -r 1 --output json {options}"
        )));
        let found: Value = serde_json::from_str(&answer.ok().stdout).expect("JSON");
        found["peak_bytes"].as_u64().expect("a peak")
    };
    let (all, bounded) = (peak(""), peak(&in_a_file()));
    println!("{all} bytes in memory, {bounded} with a file");
    assert!(all > 40 << 20, "{all} bytes");
    // What is read while the disk is waited for, on a machine that does other things.
    assert!(bounded < RESIDENT + (16 << 20), "{bounded} bytes");
}

#[test]
fn amounts_and_folders_that_make_no_sense_are_refused_with_what_to_do() {
    let program = program();
    let folder = scratch("cache-files-here").display().to_string();
    let file = fresh_file("plain");
    fs::write(&file, b"a file").expect("a file");
    for (options, status, says) in [
        ("--cache-resident 1G".to_owned(), 2, "--cache-file <DIR>"),
        (
            format!("--cache-file {folder} --cache-resident much"),
            2,
            "looks like 512M or 2G",
        ),
        (
            format!("--cache-file {folder} --cache-resident 1.5G"),
            2,
            "such as 1536M",
        ),
        (
            format!("--cache-file {folder} --cache-resident 99999999T"),
            2,
            "it is too large",
        ),
        (
            format!("--cache-file {folder} --cache-resident 100"),
            1,
            "must be at least 16M",
        ),
        (
            "--cache-file /no/such/folder".to_owned(),
            1,
            "no such folder: make it, or name another one",
        ),
        (format!("--cache-file {}", file.display()), 1, "no such folder"),
        ("--cache-file /proc".to_owned(), 1, "no file can be made there"),
    ] {
        let answer = program.run(&words(&format!("logits --tokens 1,2 --output - {options}")));
        assert_eq!(answer.code, Some(status), "{options}: {}", answer.stderr);
        assert!(answer.stderr.contains(says), "{options}: {}", answer.stderr);
    }
}
