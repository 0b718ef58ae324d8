//! Common mistakes and their messages: each has a location, a cause and a fix.

mod commands;
mod layers;
mod models;

use seqc::{
    diag::Placed,
    model::{self, ReadOptions},
    render,
    source::Sources,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A model without mistakes.
const MODEL: &str = "version: 1
model: m
sizes: {d: 64, vocab: 256}
weights: {random: 1}
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
  - attention: {heads: 4}
  - swiglu: {hidden: 128}
  - head: {vocab: vocab}
    block: final_norm
";

/// A model whose layer stands beside it.
const USER: &str = "version: 1
model: m
sizes: {d: 8, e: 6}
use: [layer.seq]
inputs: {x: \"[d]\"}
weights: {random: 1}
stack:
  - thing: {}
";

/// An empty folder for one mistake.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    dir
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Exit status and standard error of `seqc` in a folder.
fn seqc(dir: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
    let output = command.current_dir(dir).args(words).output();
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Compares with the snapshot, in which the command line stands above what is said.
fn snapshot(name: &str, words: &[&str], said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, format!("seqc {}\n{said}", words.join(" "))));
}

/// What reading the model of a folder says: the snapshot, and whether each message is complete.
fn refused(name: &str, dir: &Path) {
    let mut sources = Sources::default();
    let Err(found) = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default()) else {
        panic!("{name} should be refused");
    };
    let folder = format!("{}/", dir.display());
    let said: Vec<String> = found.iter().map(|d| render::human(d, &sources, false)).collect();
    let said = said.concat().replace(&folder, "");
    snapshot(name, &["check", "model.yaml"], &said);
    for d in &found {
        let place = d.place().map(|p| sources.path(p.file).replace(&folder, ""));
        assert!(
            matches!(place.as_deref(), Some("model.yaml" | "layer.seq")),
            "{name}: no place in a file of the user: {said}"
        );
        assert_ne!(d.code, "internal", "{name}: {said}");
        let told = render::machine(d, &sources);
        let helps = told["help"].as_array().is_some_and(|all| !all.is_empty());
        assert!(helps && !d.message.is_empty(), "{name}: no remedy: {said}");
    }
    assert!(!found.is_empty(), "{name}");
}

#[test]
fn models_are_refused_with_a_place_and_a_remedy() {
    for (name, from, to) in models::MISTAKES {
        let text = MODEL.replacen(from, to, 1);
        assert_ne!(text, MODEL, "{name}: `{from}` is not in the model");
        let dir = folder(name);
        write(&dir.join("model.yaml"), &text);
        refused(name, &dir);
    }
}

#[test]
fn layers_are_refused_with_a_place_and_a_remedy() {
    for (name, layer) in layers::MISTAKES {
        let dir = folder(name);
        let whole = match layer.starts_with(['l', 'f', 'b', 'd']) {
            true => (*layer).to_owned(),
            false => format!("layer thing(x: [d]) -> [d] {{\n{layer}\n}}\n"),
        };
        write(&dir.join("layer.seq"), &whole);
        write(&dir.join("model.yaml"), USER);
        refused(name, &dir);
    }
}

/// There are as many as the project promises.
#[test]
fn there_are_a_hundred_mistakes() {
    let count = models::MISTAKES.len() + layers::MISTAKES.len() + commands::MISTAKES.len();
    assert!(count >= 100, "{count}");
    let names = models::MISTAKES.iter().map(|m| m.0);
    let names = names.chain(layers::MISTAKES.iter().map(|m| m.0));
    let mut all: Vec<&str> = names.chain(commands::MISTAKES.iter().map(|m| m.0)).collect();
    all.sort_unstable();
    let before = all.len();
    all.dedup();
    assert_eq!(all.len(), before, "two mistakes have one name");
}
