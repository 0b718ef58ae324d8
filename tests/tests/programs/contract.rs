//! The command line that users' scripts rely on: verbs, flags, fields of the JSON, exit statuses.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use seqc_tests::{
    command::{self, Answer},
    fixture::Fixture,
    program::{Program, Way, fresh_file, integers},
    root,
};

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn json(answer: Answer) -> Value {
    let answer = answer.ok();
    serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{}", answer.line, answer.stdout))
}

fn seqc(line: &str) -> Answer {
    command::seqc(&words(line))
}

fn samba() -> PathBuf {
    root().join("specs/models/samba-small.yaml")
}

#[test]
fn every_model_of_the_repository_is_right() {
    let mut args = vec!["check".to_owned()];
    let models = std::fs::read_dir(root().join("specs/models"))
        .into_iter()
        .flatten()
        .flatten();
    args.extend(models.map(|entry| entry.path().display().to_string()));
    assert!(args.len() > 2);
    command::seqc(&args).ok();
}

#[test]
fn check_counts_what_it_found_in_its_exit_status() {
    let path = fresh_file("wrong.yaml");
    std::fs::write(&path, "version: 1\nmodle: typo\nstack: []\n").unwrap_or_else(|error| panic!("{error}"));
    let said = seqc(&format!("check {}", path.display())).refused();
    assert!(said.contains("model"), "the nearest valid name is offered: {said}");
    assert!(said.contains(":2"), "the place is named: {said}");
}

#[test]
fn usage_errors_are_status_two() {
    assert_eq!(seqc("no-such-verb").code, Some(2));
    assert_eq!(seqc("build --no-such-flag").code, Some(2));
    let program = Fixture::open("llama").program();
    assert_eq!(program.run(&words("no-such-verb")).code, Some(2));
}

#[test]
fn inspect_lists_parameters_and_state() {
    let found = json(seqc(&format!("inspect {} --json", samba().display())));
    assert!(!found["parameters"].is_null(), "{found}");
    let tensors = found["tensors"].as_array().unwrap_or_else(|| panic!("{found}"));
    assert!(
        tensors.iter().any(|entry| entry["name"] == "embed.weight"),
        "{tensors:?}"
    );
    for key in ["name", "shape", "type", "from"] {
        assert!(tensors.iter().all(|entry| entry.get(key).is_some()), "{key} is missing");
    }
    let state = found["state"].as_array().unwrap_or_else(|| panic!("{found}"));
    for entry in state {
        for key in ["name", "layer", "shape", "type", "grows", "bound"] {
            assert!(entry.get(key).is_some(), "{key} is missing: {entry}");
        }
    }
    let bounds: Vec<&Value> = state.iter().map(|entry| &entry["bound"]).collect();
    assert!(state.len() >= 6, "three state spaces and two windows: {bounds:?}");
}

#[test]
fn explain_speaks_of_every_layer() {
    let answer = seqc(&format!("explain {}", samba().display())).ok();
    assert!(answer.stdout.lines().count() > 5, "{}", answer.stdout);
}

#[test]
fn a_build_stops_at_every_stage() {
    for (stage, word) in [
        ("ast", "ModelFile"),
        ("graph", "graph"),
        ("canonical", "graph"),
        ("plan", "matmuls"),
        ("kernels", "fn @seqc_step"),
        ("mlir", "llvm.func"),
        ("llvm", "define"),
        ("asm", "seqc_step"),
    ] {
        let text = seqc(&format!("build {} --emit {stage}", samba().display())).ok().stdout;
        assert!(text.contains(word), "--emit {stage} says nothing of `{word}`");
    }
}

#[test]
fn programs_tell_what_they_are() {
    let found = json(Fixture::open("llama").program().run(&words("info --json")));
    assert!(!found["version"].is_null(), "{found}");
}

#[test]
fn generate_gives_tokens_text_and_timings() {
    let fixture = Fixture::open("llama");
    let found = json(fixture.program().run(&words(
        "generate --prompt-tokens 1,2,3 --max-tokens 4 --temperature 0 --ignore-eos --json",
    )));
    assert_eq!(integers(&found["prompt_tokens"]), [1, 2, 3]);
    assert_eq!(integers(&found["tokens"]).len(), 4);
    for key in ["version", "text", "timings"] {
        assert!(found.get(key).is_some(), "{key} is missing: {found}");
    }
}

#[test]
fn one_seed_draws_one_text() {
    let program = Fixture::open("llama").program();
    let draw = |seed: u32| {
        let line =
            format!("generate --prompt-tokens 5,6 --max-tokens 24 --temperature 1.2 --seed {seed} --ignore-eos --json");
        integers(&json(program.run(&words(&line)))["tokens"])
    };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}

#[test]
fn bench_measures_in_rows() {
    let program = Fixture::open("llama").program();
    let found = json(program.run(&words("bench -p 32 -n 8 -r 2 --output json"))).to_string();
    assert!(found.contains("pp32") && found.contains("tg8"), "{found}");
    let table = program.run(&words("bench -p 32 -n 8 -r 2 --output md")).ok().stdout;
    assert!(table.contains("pp32") && table.contains('|'), "{table}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let program = Fixture::open("llama").program();
    let mut child = Command::new(&program.path)
        .args(words(
            "generate --prompt-tokens 1,2 --max-tokens 2000 --temperature 0 --ignore-eos",
        ))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}"));
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
    let status = child.wait().unwrap_or_else(|error| panic!("{error}"));
    assert!(
        !said.contains("panicked") && !said.contains("Broken pipe") && status.code() != Some(101),
        "{status}: {said}"
    );
}

#[test]
fn the_same_model_is_the_same_program() {
    let model = samba();
    let build = || {
        let program = Program::build(&model, &fresh_file("same"));
        std::fs::read(&program.path).unwrap_or_else(|error| panic!("{error}"))
    };
    assert!(build() == build(), "two builds of one model differ");
}

/// Bytes of a saved state but for its tokens, 8 bytes each.
fn state_bytes(path: &Path, tokens: usize) -> u64 {
    let size = std::fs::metadata(path).map(|file| file.len()).unwrap_or(0);
    size.saturating_sub(8 * tokens as u64)
}

/// What a predicate lets no later query see is neither kept nor saved.
#[test]
fn a_cache_of_checkpoints_grows_with_the_checkpoints() {
    let dir = seqc_tests::scratch("checkpoints");
    let layer = std::fs::read(seqc_tests::root().join("tests/layers/checkpoints.seq"));
    let layer = layer.unwrap_or_else(|error| panic!("{error}"));
    std::fs::write(dir.join("checkpoints.seq"), layer).unwrap_or_else(|error| panic!("{error}"));
    let path = dir.join("model.yaml");
    let model = "version: 1\nmodel: c\nsizes: {d: 32, vocab: 64}\nuse: [checkpoints.seq]\nweights: {random: 3}\n\
                 block: {pre_norm: {eps: 1e-5}}\nstack:\n  - embed: {vocab: vocab}\n    block: none\n  - checkpoints: {}\n  \
                 - head: {vocab: vocab}\n    block: final_norm\n";
    std::fs::write(&path, model).unwrap_or_else(|error| panic!("{error}"));
    let found = json(seqc(&format!("inspect {} --json", path.display())));
    let state = found["state"].as_array().unwrap_or_else(|| panic!("{found}"));
    let growing = state.iter().filter(|entry| entry["grows"] == true);
    let bounds: Vec<&Value> = growing.map(|entry| &entry["bound"]).collect();
    assert!(
        bounds.len() == 3 && bounds.iter().all(|bound| **bound == "T / 8 tokens"),
        "{bounds:?}"
    );
    let program = Program::build(&path, &dir.join("program"));
    let save = fresh_file("state");
    let tokens: Vec<i64> = (0..2048).map(|i| i % 64).collect();
    let way = Way {
        save: Some(&save),
        ..Way::default()
    };
    program.logits(&tokens, way);
    // Four pages of 64 keys, of values in whole vectors, and of positions.
    let size = state_bytes(&save, tokens.len());
    let pages = 4 * 64 * (8 + 16 + 1) * 4;
    assert!(size < pages + 4096, "{size} bytes");
}

/// A window keeps a window: what a session must remember stops growing, and only then.
#[test]
fn a_windowed_cache_is_bounded_and_a_whole_one_is_not() {
    let sizes = |name: &str, window: &str| {
        let path = seqc_tests::scratch("windows").join(format!("{name}.yaml"));
        let model = format!(
            "version: 1\nmodel: {name}\nsizes: {{d: 32, vocab: 64}}\nweights: {{random: 3}}\nblock: {{pre_norm: {{eps: 1e-5}}}}\nstack:\n  \
             - embed: {{vocab: vocab}}\n    block: none\n  - attention: {{heads: 4{window}}}\n  - head: {{vocab: vocab}}\n    block: final_norm\n"
        );
        std::fs::write(&path, model).unwrap_or_else(|error| panic!("{error}"));
        let program = Program::build(&path, &seqc_tests::scratch("windows").join(name));
        [512, 2048].map(|length| {
            let save = fresh_file("state");
            let tokens: Vec<i64> = (0..length).map(|i| i % 64).collect();
            program.logits(
                &tokens,
                Way {
                    save: Some(&save),
                    ..Way::default()
                },
            );
            state_bytes(&save, length as usize)
        })
    };
    let [short, long] = sizes("windowed", ", window: 64");
    assert!(
        long <= short + 4096,
        "the window's state grew from {short} to {long} bytes"
    );
    let [short, long] = sizes("unbounded", "");
    assert!(
        long > 3 * short,
        "without a window everything is kept: {short}, {long} bytes"
    );
}
