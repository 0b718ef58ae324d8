//! Where programs find their files: as named, beside them, in a folder that is given, or inside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{
    command::{self, Answer},
    fixture::Fixture,
    scratch,
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap_or(to)).unwrap_or_else(|error| panic!("{error}"));
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// A checkpoint in `DIR/weights`, its model in `DIR/model`, and a folder for programs, `DIR/out`.
fn layout(name: &str) -> PathBuf {
    let (dir, fixture) = (scratch(name), Fixture::open("llama"));
    for file in ["model.safetensors", "config.json"] {
        copy(&fixture.dir.join(file), &dir.join("weights").join(file));
    }
    for folder in ["model", "out"] {
        fs::create_dir_all(dir.join(folder)).unwrap_or_else(|error| panic!("{error}"));
    }
    seqc_in(&dir, "import weights -o model/m.yaml").ok();
    dir
}

fn seqc_in(dir: &Path, line: &str) -> Answer {
    let args: Vec<&str> = line.split_whitespace().collect();
    command::run_in(dir, command::seqc_binary(), &args)
}

fn generate(dir: &Path, program: &str, more: &str) -> Answer {
    let line = format!("generate --prompt-tokens 1,2,3 -n 4 {more}");
    let args: Vec<&str> = line.split_whitespace().collect();
    command::run_in(dir, &dir.join(program), &args)
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn programs_name_files_from_where_they_are_and_not_from_the_root() {
    let dir = layout("relative");
    seqc_in(&dir, "build model/m.yaml -o out/program").ok();
    let whole = dir.join("model/m.yaml").display().to_string();
    seqc_in(&dir, &format!("build {whole} -o out/same")).ok();
    let program = read(&dir.join("out/program"));
    assert!(
        program == read(&dir.join("out/same")),
        "how the model is called does not count"
    );
    assert!(holds(&program, "../weights/model.safetensors"));
    assert!(!holds(&program, &dir.display().to_string()));
    let text = generate(&dir, "out/program", "").ok().stdout;
    let other = layout("relative-elsewhere");
    seqc_in(&other, "build model/m.yaml -o out/program").ok();
    assert!(
        program == read(&other.join("out/program")),
        "the same layout gives the same bytes"
    );
    assert_eq!(generate(&other, "out/program", "").ok().stdout, text);
}

#[test]
fn a_program_without_its_files_says_where_it_looked() {
    let dir = layout("moved");
    seqc_in(&dir, "build model/m.yaml -o out/program").ok();
    let text = generate(&dir, "out/program", "").ok().stdout;
    copy(&dir.join("out/program"), &dir.join("far/away/program"));
    let said = generate(&dir, "far/away/program", "").refused();
    for place in [
        "far/away/../weights/model.safetensors",
        "far/away/model.safetensors",
        "--weights PATH",
    ] {
        assert!(said.contains(place), "{place}: {said}");
    }
    assert_eq!(
        generate(&dir, "far/away/program", "--weights weights").ok().stdout,
        text
    );
    copy(
        &dir.join("weights/model.safetensors"),
        &dir.join("far/away/model.safetensors"),
    );
    assert_eq!(generate(&dir, "far/away/program", "").ok().stdout, text);
}

#[test]
fn what_the_user_names_from_the_root_stays_so() {
    let dir = layout("absolute");
    let weights = dir.join("weights").display().to_string();
    seqc_in(&dir, &format!("build model/m.yaml --weights {weights} -o out/program")).ok();
    assert!(holds(&read(&dir.join("out/program")), &weights));
    seqc_in(
        &dir,
        "build model/m.yaml --weights weights/model.safetensors -o out/program",
    )
    .ok();
    assert!(holds(&read(&dir.join("out/program")), "../weights/model.safetensors"));
}

#[test]
fn files_inside_a_program_are_all_that_it_needs() {
    let dir = layout("inside");
    seqc_in(&dir, "build model/m.yaml -o out/program").ok();
    let text = generate(&dir, "out/program", "").ok().stdout;
    seqc_in(&dir, "build model/m.yaml --embed-weights -o out/inside").ok();
    seqc_in(&dir, "build model/m.yaml --embed-weights -o out/again").ok();
    assert!(
        read(&dir.join("out/inside")) == read(&dir.join("out/again")),
        "the same bytes"
    );
    let alone = scratch("inside-alone");
    copy(&dir.join("out/inside"), &alone.join("program"));
    assert_eq!(generate(&alone, "program", "").ok().stdout, text);
    let info = command::run(&alone.join("program"), &["info"]).ok().stdout;
    assert!(info.contains("inside this program"), "{info}");
    let info = command::run(&alone.join("program"), &["info", "--json"]).ok().stdout;
    let info: serde_json::Value = serde_json::from_str(&info).unwrap_or_else(|error| panic!("{error}"));
    assert!(info["inside"].as_u64() > Some(100_000), "{info}");
    let state = alone.join("state").display().to_string();
    generate(&alone, "program", &format!("--save-state {state}")).ok();
    generate(&dir, "out/program", &format!("--load-state {state}")).ok();
    generate(&alone, "program", &format!("--load-state {state}")).ok();
    let bytes = read(&alone.join("program"));
    fs::write(alone.join("program"), &bytes[..bytes.len() - 1]).unwrap_or_else(|error| panic!("{error}"));
    let cut = generate(&alone, "program", "");
    assert_eq!(cut.code, Some(2), "{}", cut.stderr);
    assert!(cut.stderr.contains("stripped or cut short"), "{}", cut.stderr);
}

#[test]
fn a_tokenizer_inside_a_program_has_its_template() {
    let dir = layout("tokenizer-inside");
    let write = |name: &str, text: &str| {
        fs::write(dir.join("weights").join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    write(
        "tokenizer.json",
        r#"{"added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}"#,
    );
    write("tokenizer_config.json", r#"{"eos_token": "b"}"#);
    write(
        "chat_template.jinja",
        "{{ messages[0].content }}a{{ messages[0].content }}",
    );
    seqc_in(&dir, "import weights -o model/chat.yaml").ok();
    seqc_in(&dir, "build model/chat.yaml -o out/chat").ok();
    seqc_in(&dir, "build model/chat.yaml --embed-weights -o out/inside").ok();
    let alone = scratch("tokenizer-alone");
    copy(&dir.join("out/inside"), &alone.join("program"));
    let chat = ["generate", "--chat", "ab", "-n", "4", "--json"];
    let tokens = |program: &Path| {
        let said = command::run(program, &chat).ok().stdout;
        let found: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}"));
        (found["prompt_tokens"].clone(), found["tokens"].clone())
    };
    let (prompt, drawn) = tokens(&alone.join("program"));
    assert_eq!(prompt, serde_json::json!([2, 0, 2]));
    assert_eq!((prompt, drawn), tokens(&dir.join("out/chat")));
}

#[test]
fn there_must_be_something_to_put_inside() {
    let dir = scratch("nothing-inside");
    let model = dir.join("random.yaml");
    let text = "version: 1\nmodel: m\nsizes: {d: 8, vocab: 16}\nweights: {random: 1}\nstack:\n  - embed: {vocab: vocab}\n  - head: {vocab: vocab}\n";
    fs::write(&model, text).unwrap_or_else(|error| panic!("{error}"));
    let model = model.display();
    let refused = |line: &str, words: &str| {
        let answer = seqc_in(&dir, line);
        assert_eq!(answer.code, Some(2), "{line}: {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{line}: {}", answer.stderr);
    };
    refused(
        &format!("build {model} --embed-weights -o program"),
        "neither weights nor a tokenizer to embed",
    );
    refused(
        &format!("build {model} --embed-weights --emit mlir -o -"),
        "requires --emit exe, lib, crate or wheel",
    );
    assert!(!dir.join("program").exists());
}
