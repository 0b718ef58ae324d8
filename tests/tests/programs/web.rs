//! Folders for browsers and Node.js: known answers in Node.js, and the page in headless Chromium where that is installed.

use super::chat::{self, PLAIN, with_template};
use seqc_tests::{
    command, emulation,
    fixture::Fixture,
    program::{fresh_file, integers, json, list},
};
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The folder of a model.
fn folder(model: &Path) -> PathBuf {
    let folder = fresh_file("web");
    emulation::of_target("wasm");
    let words = ["build", "--emit", "web"].map(PathBuf::from);
    let more = [model.to_owned(), "-o".into(), folder.clone()];
    command::seqc(&[&words[..], &more].concat()).ok();
    folder
}

#[test]
fn folders_with_other_contents_are_left_alone() {
    let (folder, model) = (fresh_file("web"), fresh_file("bytes.yaml"));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("index.html"), "mine").expect("written");
    fs::write(&model, chat::MODEL).expect("written");
    emulation::of_target("wasm");
    let build = |more: &[&str]| {
        let (model, folder) = (model.display().to_string(), folder.display().to_string());
        command::seqc(&[&["build", "--emit", "web", &model, "-o", &folder], more].concat())
    };
    let said = build(&[]);
    assert!(
        said.code == Some(2) && said.stderr.contains("--force"),
        "{}",
        said.stderr
    );
    assert_eq!(fs::read_to_string(folder.join("index.html")).expect("there"), "mine");
    build(&["--force"]).ok();
    build(&[]).ok();
    fs::remove_dir_all(folder).ok();
}

/// What a script of the tests prints in Node.js.
fn node(script: &str, words: &[String]) -> Value {
    let script = seqc_tests::fixture::folder().join(script).display().to_string();
    json(command::run(Path::new("node"), &[&[script], words].concat()))
}

#[test]
fn sessions_in_node_answer_as_transformers_do() {
    let fixture = Fixture::open("llama");
    let folder = folder(&fixture.import("llama-web"));
    let count = fixture.greedy.len();
    let words = [folder.display().to_string(), list(&fixture.input), count.to_string()];
    let said = node("web.mjs", &words);
    for way in ["whole", "second", "fed", "forked", "after"] {
        assert_eq!(integers(&said[way]), fixture.greedy, "{way}");
    }
    assert_eq!(said["loaded"], said["total"]);
    let refused = said["refused"].as_str().expect("a refusal");
    assert!(refused.contains(&said["logits"].to_string()), "{refused}");
    fs::remove_dir_all(folder).ok();
}

/// Whether a program is in one of the folders of `PATH`.
fn has(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

#[test]
fn a_page_answers_in_chromium() {
    if !has("chromium") || !has("chromedriver") {
        eprintln!(
            "the page is not tried: chromium and chromedriver are not installed (Debian: chromium, chromium-driver)"
        );
        return;
    }
    let tokenizer = with_template(PLAIN);
    let model = fresh_file("page.yaml");
    let text = format!(
        "{}tokenizer: {}\n",
        chat::MODEL,
        tokenizer.join("tokenizer.json").display()
    );
    fs::write(&model, text).expect("written");
    let folder = folder(&model);
    let words = ["generate", "--json", "--chat", "Hello", "-n", "6", "--tokenizer"];
    let words = words
        .map(str::to_owned)
        .into_iter()
        .chain([tokenizer.display().to_string()]);
    let here = json(chat::bytes().run(&words.collect::<Vec<_>>()));
    // Servers that know ranges, and such as send whole files.
    for server in ["ranges", "whole"] {
        let words = [
            folder.display().to_string(),
            "Hello".to_owned(),
            "6".to_owned(),
            server.to_owned(),
        ];
        let said = node("page.mjs", &words);
        assert_eq!(said["answer"], here["text"], "{server}");
        let status = said["status"].as_str().expect("a text");
        assert!(
            status.starts_with("6 tokens, ") && status.ends_with(" tokens per second"),
            "{status}"
        );
        let files = |requests: &Value| requests.to_string().contains("/tokenizer/tokenizer.json");
        assert!(files(&said["requests"]) && !files(&said["again"]), "{said}");
    }
    fs::remove_dir_all(folder).ok();
}
