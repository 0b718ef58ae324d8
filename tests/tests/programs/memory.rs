//! Peak memory of programs against the closed forms: constant states do not grow, caches grow by what was predicted, and nothing
//! holds a tensor of tokens x state.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{
    command,
    program::{Program, fresh_file},
};
use serde_json::Value;

/// Shorter and longer prompt.
const LENGTHS: [usize; 2] = [8192, 65536];
/// Bytes by which the peak of two runs may differ for other reasons: pages that the system maps in pieces.
const SLACK: u64 = 512 << 10;
/// Bytes of a program at rest: its code, weights of less than a megabyte, activations of a chunk, stacks of threads.
const REST: u64 = 8 << 20;

/// A model of 16 tokens whose middle is one layer with a state, in its own file.
fn model(name: &str, layer: &str) -> PathBuf {
    let text = format!(
        "version: 1\nmodel: {name}\nsizes: {{d: 32, vocab: 16}}\nweights: {{random: 1}}\nblock: {{pre_norm: {{eps: 1e-5}}}}\n\
         use: [sinks.seq]\nstack:\n  - embed: {{vocab: vocab}}\n    block: none\n  - {layer}\n  - head: {{vocab: vocab}}\n    block: none\n"
    );
    let dir = seqc_tests::scratch("memory");
    let sinks = "/// A window and the first tokens.\n\
        layer sinks(x: [d]; window = 64, first = 4) -> [d] {\n  q = reshape(x, 1, d)\n  \
        flatten(attend(q, q, q; scale = d ** -0.5, where (i, j) = i - j < window || j < first))\n}\n";
    fs::write(dir.join("sinks.seq"), sinks).unwrap_or_else(|e| panic!("{e}"));
    let file = dir.join(format!("{name}.yaml"));
    fs::write(&file, text).unwrap_or_else(|e| panic!("{e}"));
    file
}

/// What `bench` says after reading a prompt of so many tokens, twice; on one thread.
fn peak(program: &Program, tokens: usize) -> u64 {
    let words = format!("bench -p {tokens} -n 0 -r 1 --threads 1 --output json");
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let found: Value = serde_json::from_str(&program.run(&words).ok().stdout).unwrap_or_else(|e| panic!("{e}"));
    found["peak_bytes"]
        .as_u64()
        .unwrap_or_else(|| panic!("no peak in {found}"))
}

/// Bytes of state that the closed forms give at these context lengths.
fn predicted(model: &Path, lengths: [usize; 2]) -> [u64; 2] {
    let profile = super::compare::profile();
    let at = lengths.map(|t| t.to_string()).join(",");
    let mut args: Vec<String> = ["compare", "--format", "json", "--at", &at].map(str::to_owned).to_vec();
    args.extend([
        "--profile".to_owned(),
        profile.display().to_string(),
        model.display().to_string(),
    ]);
    let found: Value = serde_json::from_str(&command::seqc(&args).ok().stdout).unwrap_or_else(|e| panic!("{e}"));
    fs::remove_file(profile).ok();
    [0, 1].map(|n| found["models"][0]["at"][n]["state_bytes"].as_f64().unwrap_or(-1.0) as u64)
}

/// Builds a model and compares how its peak grows with the closed form; gives the longer prompt's peak.
fn check(name: &str, layer: &str, lengths: [usize; 2]) -> u64 {
    let file = model(name, layer);
    let program = Program::build(&file, &fresh_file(name));
    let [less, more] = predicted(&file, lengths);
    let [short, long] = lengths.map(|t| peak(&program, t));
    fs::remove_file(&program.path).ok();
    // Token ids are held as they were given.
    let ids = 8 * (lengths[1] - lengths[0]) as u64;
    let (grown, expected) = (long.saturating_sub(short), more - less + ids);
    println!("{name}: {short} to {long} bytes, grown by {grown}, {expected} predicted");
    assert!(
        grown <= expected + expected / 16 + SLACK,
        "{name} grew by {grown} bytes, not {expected}"
    );
    assert!(
        grown + SLACK >= expected - expected / 16,
        "{name} grew by {grown} bytes only, not {expected}"
    );
    assert!(long <= REST + more + 8 * lengths[1] as u64, "{name} holds {long} bytes");
    long
}

#[test]
fn a_window_holds_its_tokens_and_no_more() {
    check("window", "attention: {heads: 2, window: 64}", LENGTHS);
}

#[test]
fn first_tokens_and_a_window_hold_theirs() {
    check("sinks", "sinks: {window: 64, first: 4}", LENGTHS);
}

#[test]
fn a_recurrence_holds_one_state_and_never_all() {
    let long = check("recurrent", "mamba: {n: 16}", LENGTHS);
    // The state of every token would be 64 x 16 numbers.
    let all = 4 * 64 * 16 * LENGTHS[1] as u64;
    assert!(4 * long < all, "{long} bytes");
}

#[test]
fn a_codebook_holds_sums() {
    check(
        "codebook",
        "longvq: {n: 4, z: 8, v: 64, codes: 16, window: 16}",
        LENGTHS,
    );
}

#[test]
fn full_attention_grows_as_predicted() {
    check("full", "attention: {heads: 1, kv_heads: 1, hd: 64}", [4096, 16384]);
}
