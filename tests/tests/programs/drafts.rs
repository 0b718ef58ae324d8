//! Programs that draft for others: for a server, for a library, and until they end.

use std::{fs, path::Path, process::Command, thread};

use super::{
    libraries::library,
    serve::{Server, tokenizer},
    states::{MODELS, answer, number, program, start, tree},
};
use seqc_tests::{
    command,
    fixture::{self, Fixture},
    program::fresh_file,
    scratch,
};

/// A server for which a program drafts.
fn drafting(model: usize, drafts: &Path, more: &[&str]) -> Server {
    let path = drafts.display().to_string();
    let words = [&["--draft", &path, "--draft-tokens", "5"], more].concat();
    start(&program(MODELS[model]), &words)
}

/// A program that answers so many lines and ends.
fn ending(program: &Path, lines: usize) -> std::path::PathBuf {
    let (text, path) = (fresh_file("lines"), fresh_file("ending"));
    // It has a group of processes of its own.
    let script = format!(
        "#!/bin/sh\n{} \"$@\" | {{ sed -u {lines}q; kill -9 0; }}\n",
        program.display()
    );
    fs::write(&text, script).unwrap_or_else(|error| panic!("{}: {error}", text.display()));
    // Another process writes what runs: what other threads start inherits files that this one has open, and a file that
    // is open for writing anywhere cannot be run.
    let written = Command::new("install")
        .args(["-m", "700"])
        .args([&text, &path])
        .status();
    assert!(written.is_ok_and(|status| status.success()), "{}", path.display());
    path
}

#[test]
fn a_server_with_a_program_that_drafts_answers_as_without() {
    // A model knows itself; others differ.
    for (model, drafts) in [(0, 0), (1, 1), (3, 3), (4, 4), (3, 1)] {
        let name = MODELS[model].name;
        let plain = start(&program(MODELS[model]), &["--prefix-cache", "0"]);
        let prompts = tree(12, |prompt| answer(&plain, prompt));
        let expected: Vec<Vec<i64>> = prompts.iter().map(|prompt| answer(&plain, prompt)).collect();
        let server = drafting(model, &program(MODELS[drafts]).path, &["--snapshot-interval", "16"]);
        for _ in 0..2 {
            // All at once, and again from the prefix cache.
            thread::scope(|scope| {
                for (prompt, expected) in prompts.iter().zip(&expected) {
                    let server = &server;
                    scope.spawn(move || assert_eq!(answer(server, prompt), *expected, "{name}: {prompt:?}"));
                }
            });
        }
        let tokens = number(&server, "seqc_prefix_cache_tokens_total");
        let all: usize = prompts.iter().map(Vec::len).sum();
        assert!(tokens as usize >= all, "{name}: {tokens} of {all}");
        // One at a time.
        let [drafted, accepted] =
            ["seqc_drafted_tokens_total", "seqc_accepted_tokens_total"].map(|n| number(&server, n));
        assert_eq!(answer(&server, &prompts[0]), expected[0]);
        if model == drafts {
            assert!(
                drafted > 50 && 2 * accepted > drafted,
                "{name}: {accepted} of {drafted}"
            );
        }
    }
}

#[test]
fn a_program_that_drafts_may_end_at_any_time() {
    let [attention, mamba, ..] = MODELS.map(program);
    let plain = start(&mamba, &[]);
    let prompts = tree(6, |prompt| answer(&plain, prompt));
    for lines in [1, 2, 9] {
        let server = drafting(1, &ending(&mamba.path, lines), &[]);
        for prompt in &prompts {
            assert_eq!(answer(&server, prompt), answer(&plain, prompt), "after {lines} lines");
        }
    }
    let words = "generate --prompt-tokens 1,2,3 -n 20 --json".split(' ');
    let words: Vec<String> = words.map(str::to_owned).collect();
    let told = command::run(&attention.path, &words).ok();
    let draft = ["--draft".to_owned(), ending(&attention.path, 3).display().to_string()];
    let drafted = command::run(&attention.path, &[&words[..], &draft].concat()).ok();
    let tokens = |text: &str| {
        let found: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        (found["tokens"].clone(), found["speculation"]["accepted"].as_u64())
    };
    assert_eq!(tokens(&drafted.stdout).0, tokens(&told.stdout).0);
    assert!(tokens(&drafted.stdout).1 > Some(0), "{}", drafted.stdout);
    let warned = drafted.stderr.matches("answers go on without drafts").count();
    assert_eq!(warned, 1, "{}", drafted.stderr);
}

#[test]
fn what_does_not_draft_for_a_server_is_refused() {
    let [attention, ..] = MODELS.map(program);
    let tokenizer = tokenizer().display().to_string();
    let said = |draft: &str| {
        let words = ["serve", "--port", "0", "--tokenizer", &tokenizer, "--draft", draft];
        command::run(&attention.path, &words).refused()
    };
    let other = Fixture::open("llama").program().path.display().to_string();
    let why = said(&other);
    assert!(why.contains("same tokenizer"), "{why}");
    let why = said("/bin/true");
    assert!(why.contains("has ended"), "{why}");
}

#[test]
fn a_state_is_not_written_over_what_answering_reads() {
    let program = program(MODELS[0]);
    let drafts = ending(&program.path, 9);
    let before = fs::read(&drafts).expect("a script");
    let path = drafts.display();
    let line = format!("generate --prompt-tokens 1,2 -n 4 --draft {path} --save-state {path}");
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let answer = program.run(&words);
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(answer.stderr.contains("this is an input"), "{}", answer.stderr);
    assert_eq!(fs::read(&drafts).expect("a script"), before);
}

#[test]
fn samples_of_generate_may_be_drafted_by_a_program() {
    for (model, drafts) in [(0, 0), (1, 1), (3, 0)] {
        let program = program(MODELS[model]);
        let drafts = super::states::program(MODELS[drafts]).path.display().to_string();
        let words = "generate --prompt-tokens 5,6,7 -n 30 --temperature 0.3 --samples 4 --json".split(' ');
        let words: Vec<String> = words.map(str::to_owned).collect();
        let answers = |more: &[String]| {
            let text = command::run(&program.path, &[&words[..], more].concat()).ok().stdout;
            let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            found["answers"].clone()
        };
        let plain = answers(&[]);
        assert_eq!(plain.as_array().map(Vec::len), Some(4));
        assert_eq!(
            answers(&["--draft".to_owned(), drafts]),
            plain,
            "{}",
            MODELS[model].name
        );
    }
}

#[test]
fn a_program_drafts_for_all_sessions_of_a_library() {
    for name in ["llama", "mamba"] {
        let dir = scratch(&format!("drafts-{name}"));
        library(&dir, name, "seqc");
        let source = fixture::folder().join("drafts.c").display().to_string();
        let compile = format!("cc -Wall -Wextra -Werror {source} -I. -L. -lseqc -Wl,-rpath,. -o drafts");
        command::run_in(&dir, Path::new("/bin/sh"), &["-ec", &compile]).ok();
        let program = Fixture::open(name).program().path;
        let ends = ending(&program, 4).display().to_string();
        let program = program.display().to_string();
        // It ends in the middle, where the process of the library has its own ways with signals.
        for (drafts, fails) in [(&program, "0"), (&ends, "1")] {
            command::run_in(&dir, &dir.join("drafts"), &[drafts, fails]).ok();
        }
    }
}
