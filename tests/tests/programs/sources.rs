//! Libraries of models with an encoder: what C, Rust and Python give it is read as programs read `--source`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{
    command,
    fixture::folder,
    program::{self, integers},
    root,
    rows::Rows,
    scratch,
};

use super::{
    encoders::{self, generate, near, outputs, text},
    libraries::shell,
    packages::{install, workspace},
};

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A folder with a model of tokens and what is built of it with these words.
fn built(name: &str, state: bool, words: &[&str]) -> PathBuf {
    let dir = scratch(name);
    write(&dir.join("model.yaml"), text(state));
    let words = [&["build", "model.yaml", "--emit"], words].concat();
    command::run_in(&dir, command::seqc_binary(), &words).ok();
    dir
}

/// The model of numbers, and its known answers.
fn numbers() -> (String, PathBuf) {
    let model = root().join("specs").join("mixers").join("encoder_decoder.yaml");
    let known = folder().join("mixers").join("encoder_decoder");
    (model.display().to_string(), known.join("expected.safetensors"))
}

/// What the program answers, a token in each line.
fn expected(state: bool) -> String {
    let line = "--source-tokens 5,9,33,2,71,40 --prompt-tokens 1,17,200 -n 24";
    let tokens = integers(&generate(&encoders::model(state), line)["tokens"]);
    tokens.iter().map(|token| format!("{token}\n")).collect()
}

#[test]
fn sessions_of_c_read_sources() {
    let source = folder().join("sources.c").display().to_string();
    let compiled = format!("cc -std=c99 -Wall -Wextra -Werror {source} -I.");
    for state in [false, true] {
        let dir = built(&format!("sources-c-{state}"), state, &["lib", "-o", "libmodel.so"]);
        let run = format!("{compiled} -L. -lmodel -Wl,-rpath,. -o sources && ./sources");
        assert_eq!(shell(&dir, &run), expected(state), "state {state}");
    }
    let (dir, (model, known)) = (scratch("sources-c-numbers"), numbers());
    let library = dir.join("libmodel.so").display().to_string();
    command::seqc(&["build", &model, "--emit", "lib", "-o", &library]).ok();
    let [x, m] = ["x", "m"].map(|name| Rows::read(&known, name));
    let program = program::built("mixer-encoder_decoder", || model.clone().into());
    let y = outputs(&program, &format!("run --input {}", known.display()), "y");
    for (name, rows) in [("x", &x), ("m", &m)] {
        let bytes: Vec<u8> = rows.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        write(&dir.join(name), bytes);
    }
    let run = format!(
        "{compiled} libmodel.a -lm -lpthread -o sources && ./sources x {} m {}",
        x.len(),
        m.len()
    );
    let printed = shell(&dir, &run);
    let data = printed.lines().map(|line| line.parse().unwrap_or(f32::NAN));
    let found = Rows {
        width: y.width,
        data: data.collect(),
    };
    near(&found, &y, "numbers");
}

#[test]
fn sessions_of_rust_read_sources() {
    let dir = built("sources-rust", false, &["crate", "-o", "model"]);
    let main = fs::read_to_string(folder().join("sources.rs")).unwrap_or_else(|error| panic!("{error}"));
    workspace(&dir, &main);
    let run = "RUSTFLAGS='-D warnings' env -u CARGO_TARGET_DIR cargo run --quiet --offline --bin user";
    assert_eq!(shell(&dir.join("user"), run), expected(false));
}

#[test]
fn sessions_of_python_read_sources() {
    let dir = built("sources-python", true, &["wheel", "-o", "."]);
    let (model, known) = numbers();
    let words = [
        "build",
        &model,
        "--emit",
        "wheel",
        "-o",
        ".",
        "--prefix",
        "features",
        "--embed-weights",
    ];
    command::run_in(&dir, command::seqc_binary(), &words).ok();
    install(&dir, "./model-*.whl ./features-*.whl");
    let script = folder().join("sources.py").display().to_string();
    let printed = shell(&dir, &format!("fresh/bin/python {script} {}", known.display()));
    assert_eq!(printed, expected(true));
}

#[test]
fn folders_for_browsers_are_refused() {
    let dir = scratch("sources-web");
    write(&dir.join("model.yaml"), text(false));
    let words = ["build", "model.yaml", "--emit", "web", "--target", "wasm", "-o", "web"];
    let answer = command::run_in(&dir, command::seqc_binary(), &words);
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("no function that gives it a source"),
        "{}",
        answer.stderr
    );
}
