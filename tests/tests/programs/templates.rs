//! What chat templates are given: lists from files, pipes and standard input, variables, and messages that name the template.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use seqc_tests::{
    command::Answer,
    program::{fresh_file, json},
};

use super::chat::{bytes, with_template};

/// Shows all that it is given.
const SHOWN: &str = "{{ tools | tojson }}|{{ documents | tojson }}|{{ mood }}|{{ messages[0].content }}";

/// Most bytes of a list.
const MOST: u64 = 16 << 20;

/// A run with these words, and a text on standard input.
fn run(words: &[&str], input: &str) -> Answer {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    bytes().run_with_input(&words, input)
}

/// `tokenize --chat hi` with these words.
fn tokenize(dir: &Path, words: &[&str], input: &str) -> Answer {
    let dir = dir.display().to_string();
    run(
        &[&["tokenize", "--json", "--tokenizer", &dir, "--chat", "hi"][..], words].concat(),
        input,
    )
}

/// The text that a template becomes.
fn shown(dir: &Path, words: &[&str], input: &str) -> String {
    let found = json(tokenize(dir, words, input));
    found["text"].as_str().unwrap_or_default().to_owned()
}

fn written(text: &[u8]) -> PathBuf {
    let path = fresh_file("list.json");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// A pipe with a name, into which a thread writes as long as somebody reads.
fn pipe(piece: &'static [u8], pieces: usize) -> PathBuf {
    let path = fresh_file("pipe");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "{}", path.display());
    let to = path.clone();
    thread::spawn(move || {
        let mut file = File::options().write(true).open(to)?;
        (0..pieces).try_for_each(|_| file.write_all(piece))
    });
    path
}

#[test]
fn lists_come_from_files_pipes_and_standard_input() {
    let dir = with_template(SHOWN);
    let tools = written(br#"[{"name": "clock"}]"#).display().to_string();
    let documents = pipe(br#"["a", "b"]"#, 1).display().to_string();
    let words = [
        "--tools",
        &tools,
        "--documents",
        &documents,
        "--template-arg",
        "mood=good",
    ];
    assert_eq!(shown(&dir, &words, ""), r#"[{"name": "clock"}]|["a", "b"]|good|hi"#);
    let words = ["--documents", "-", "--template-arg", "mood={\"a\": true}"];
    assert_eq!(shown(&dir, &words, "[1]"), "null|[1]|{'a': True}|hi");
    // The same where an answer begins.
    let folder = dir.display().to_string();
    let given = ["--tools", &tools, "--template-arg", "mood=1"];
    let generate = ["generate", "--tokenizer", &folder, "--chat", "hi", "-n", "0", "--json"];
    let read = json(run(&[&generate[..], &given].concat(), ""));
    let same = json(tokenize(&dir, &given, ""));
    assert_eq!(read["prompt_tokens"], same["tokens"]);
}

#[test]
fn lists_that_are_none_are_refused_with_their_path() {
    let dir = with_template(SHOWN);
    let long = fresh_file("long.json");
    let made = File::create(&long).and_then(|file| file.set_len(MOST + 1));
    assert!(made.is_ok(), "{}", long.display());
    let cases = [
        (dir.clone(), "this is a folder"),
        (PathBuf::from("/dev/zero"), "this is a device"),
        (long, "this is longer than 16777216 bytes"),
        (pipe(&[b' '; 1 << 16], 1 << 10), "this is longer than 16777216 bytes"),
        (written(b"[1, 2"), "a list in JSON is expected"),
        (written(b""), "a list in JSON is expected"),
        (written(br#"{"name": "clock"}"#), "in square brackets"),
        (written(b"[\"\xff\"]"), "not UTF-8"),
        (fresh_file("missing.json"), "No such file"),
    ];
    for flag in ["--tools", "--documents"] {
        for (path, why) in &cases {
            // A pipe is read once.
            if flag == "--documents" && why.contains("longer") {
                continue;
            }
            let path = path.display().to_string();
            let said = tokenize(&dir, &[flag, &path], "").refused();
            assert!(said.contains(why) && said.contains(&path), "{flag} {path}: {said}");
        }
    }
}

#[test]
fn standard_input_is_read_once() {
    let dir = with_template(SHOWN);
    let folder = dir.display().to_string();
    let generate = ["generate", "--tokenizer", &folder, "--chat", "-", "--tools", "-"];
    let chat = ["chat", "--tokenizer", &folder, "--documents", "-"];
    let both = [
        "tokenize",
        "--tokenizer",
        &folder,
        "--chat",
        "x",
        "--tools",
        "-",
        "--documents",
        "-",
    ];
    let all = ["tokenize", "--tokenizer", &folder, "--chat", "-", "--documents", "-"];
    for words in [&generate[..], &chat, &both, &all] {
        let answer = run(words, "[]");
        assert_eq!(answer.code, Some(2), "{words:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains("standard input can be read once"),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn variables_are_given_once_and_by_names_of_their_own() {
    let dir = with_template(SHOWN);
    let said = tokenize(&dir, &["--template-arg", "mood=1", "--template-arg", "mood=2"], "").refused();
    assert!(said.contains("--template-arg mood is given twice"), "{said}");
    for (word, why) in [
        ("tools=[]", "given otherwise"),
        ("mood", "NAME=VALUE"),
        ("=1", "NAME=VALUE"),
    ] {
        let answer = tokenize(&dir, &["--template-arg", word], "");
        assert_eq!(answer.code, Some(2), "{word}: {}", answer.stderr);
        assert!(answer.stderr.contains(why), "{word}: {}", answer.stderr);
    }
}

#[test]
fn templates_that_fail_are_named() {
    for template in [
        "{% for m in messages %}",
        "{{ raise_exception('no tools, please') }}",
        "{{ tools.a.b }}",
    ] {
        let dir = with_template(template);
        let said = tokenize(&dir, &[], "").refused();
        let place = dir.join("chat_template.jinja").display().to_string();
        assert!(said.contains(&place), "{template}: {said}");
    }
}
