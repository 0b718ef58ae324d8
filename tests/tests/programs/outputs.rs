//! What programs write: never over what they read, whole or not at all.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use seqc_tests::{
    command::{self, Answer},
    fixture::Fixture,
    scratch,
};

/// A folder with a copy of a checkpoint, and a program of it.
struct Place {
    dir: PathBuf,
    program: PathBuf,
}

impl Place {
    fn new(name: &str) -> Place {
        let (dir, fixture) = (scratch(name), Fixture::open("llama"));
        let copy = |from: &Path, to: &str| {
            fs::copy(from, dir.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        };
        copy(&fixture.dir.join("model.safetensors"), "model.safetensors");
        copy(&fixture.dir.join("config.json"), "config.json");
        copy(&fixture.program().path, "program");
        Place {
            program: dir.join("program"),
            dir,
        }
    }

    /// Runs the program, with the weights in this folder unless others are named.
    fn run(&self, line: &str) -> Answer {
        let mut args: Vec<&str> = line.split_whitespace().collect();
        if !line.contains("--weights") {
            args.extend(["--weights", "."]);
        }
        command::run_in(&self.dir, &self.program, &args)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir)
            .unwrap_or_else(|error| panic!("{error}"))
            .flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Refused for wrong usage, with a message that says what to do.
fn wrong_usage(answer: Answer) -> String {
    assert_eq!(answer.code, Some(2), "{}: {}", answer.line, answer.stderr);
    answer.stderr
}

#[test]
fn no_input_of_a_program_is_its_output() {
    let place = Place::new("inputs-as-outputs");
    let at = |name: &str| place.dir.join(name);
    fs::hard_link(at("model.safetensors"), at("hard")).unwrap_or_else(|error| panic!("{error}"));
    symlink("model.safetensors", at("soft")).unwrap_or_else(|error| panic!("{error}"));
    place
        .run("logits --tokens 1,2,3 --weights . -o rows.st --save-state state")
        .ok();
    let before = ["model.safetensors", "config.json", "program", "state"].map(|name| place.read(name));
    for line in [
        "logits --tokens 1 -o model.safetensors",
        "logits --tokens 1 -o hard",
        "logits --tokens 1 -o soft --weights model.safetensors",
        "logits --tokens 1 -o model.safetensors --weights .",
        "logits --tokens 1 -o rows.st --save-state model.safetensors",
        "logits --tokens 1 -o rows.st --save-state soft",
        "logits --tokens 1 -o state --load-state state",
        "logits --tokens 1 -o program",
        "generate --prompt-tokens 1 -n 1 --save-state hard",
        "generate --prompt-tokens 1 -n 1 --save-state program",
    ] {
        let said = wrong_usage(place.run(line));
        assert!(
            said.contains("input") && said.contains("name another file"),
            "{line}: {said}"
        );
    }
    let said = wrong_usage(place.run("logits --tokens 1 -o new --save-state ./new"));
    assert!(said.contains("same file"), "{said}");
    let after = ["model.safetensors", "config.json", "program", "state"].map(|name| place.read(name));
    assert!(before == after, "an input was changed");
    let header = r#"{"tokens":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let tokens = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &7_u64.to_le_bytes(),
    ]
    .concat();
    fs::write(at("in.st"), tokens).unwrap_or_else(|error| panic!("{error}"));
    wrong_usage(place.run("run -i in.st -o in.st"));
    wrong_usage(place.run("run -i in.st -o - --save-state in.st"));
    place.run("run -i in.st -o out.st --save-state new").ok();
}

#[test]
fn the_state_of_other_weights_is_refused() {
    let place = Place::new("other-weights");
    let mut bytes = place.read("model.safetensors");
    fs::write(place.dir.join("moved.st"), &bytes).unwrap_or_else(|error| panic!("{error}"));
    *bytes.last_mut().unwrap_or_else(|| panic!("no weights")) ^= 1;
    fs::write(place.dir.join("other.st"), &bytes).unwrap_or_else(|error| panic!("{error}"));
    place
        .run("logits --tokens 1,2,3 -o - --save-state state --weights model.safetensors")
        .ok();
    place
        .run("logits --tokens 4 -o - --load-state state --weights moved.st")
        .ok();
    let said = place
        .run("logits --tokens 4 -o - --load-state state --weights other.st")
        .refused();
    assert!(said.contains("other weights"), "{said}");
    let mut state = place.read("state");
    state[8] = 2;
    fs::write(place.dir.join("old"), state).unwrap_or_else(|error| panic!("{error}"));
    let said = place.run("logits --tokens 4 -o - --load-state old").refused();
    assert!(said.contains("version 2"), "{said}");
}

#[test]
fn the_state_of_another_seed_is_one_of_other_weights() {
    let dir = scratch("seeds");
    for seed in [1, 2] {
        let text = format!(
            "version: 1\nmodel: m\nsizes: {{d: 8, vocab: 16}}\nweights: {{random: {seed}}}\nstack:\n  - embed: {{vocab: vocab}}\n  - head: {{vocab: vocab}}\n"
        );
        let model = dir.join(format!("m{seed}.yaml"));
        fs::write(&model, text).unwrap_or_else(|error| panic!("{error}"));
        command::run_in(
            &dir,
            command::seqc_binary(),
            &["build", &format!("m{seed}.yaml"), "-o", &format!("m{seed}")],
        )
        .ok();
    }
    let run = |program: &str, how: &str| {
        command::run_in(
            &dir,
            &dir.join(program),
            &["logits", "--tokens", "1", "-o", "-", how, "state"],
        )
    };
    run("m1", "--save-state").ok();
    run("m1", "--load-state").ok();
    let said = run("m2", "--load-state").refused();
    assert!(said.contains("other weights"), "{said}");
}

#[test]
fn the_state_that_a_run_began_with_may_be_replaced() {
    let place = Place::new("state-replaced");
    place.run("generate --prompt-tokens 1,2,3 -n 2 --save-state state").ok();
    place
        .run("generate --prompt-tokens 4 -n 2 --load-state state --save-state state")
        .ok();
    let said = place
        .run("-v generate --prompt-tokens 4 -n 1 --load-state state")
        .ok()
        .stderr;
    assert!(said.contains("continuing after 8 tokens"), "{said}");
    assert_eq!(place.names(), ["config.json", "model.safetensors", "program", "state"]);
}

#[test]
fn folders_and_places_that_cannot_be_written_are_said() {
    let place = Place::new("no-places");
    fs::create_dir(place.dir.join("folder")).unwrap_or_else(|error| panic!("{error}"));
    for (line, words) in [
        ("logits --tokens 1 -o folder", "this is a folder"),
        ("logits --tokens 1 -o none/rows.st", "there is no folder none"),
        ("logits --tokens 1 -o - --save-state folder", "this is a folder"),
        (
            "generate --prompt-tokens 1 -n 1 --save-state none/state",
            "there is no folder none",
        ),
        ("logits --tokens 1 -o /dev/full", "disk is full"),
    ] {
        let said = wrong_usage(place.run(line));
        assert!(said.contains(words), "{line}: {said}");
    }
    place.run("logits --tokens 1 -o /dev/null --save-state /dev/null").ok();
}

#[test]
fn several_sequences_without_tokens_are_json_without_rows() {
    let place = Place::new("no-tokens");
    place.run("logits --tokens [] --tokens [] -o rows.json").ok();
    let rows: serde_json::Value =
        serde_json::from_slice(&place.read("rows.json")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rows["logits"], serde_json::json!([]));
}

#[test]
fn a_kill_leaves_nothing_and_keeps_what_was_there() {
    let place = Place::new("killed");
    fs::write(place.dir.join("rows.json"), "old").unwrap_or_else(|error| panic!("{error}"));
    let tokens = vec!["7"; 500].join(",");
    for signal in ["INT", "TERM", "KILL"] {
        let mut command = Command::new(&place.program);
        command
            .current_dir(&place.dir)
            .args(["logits", "--chunk", "1", "-o", "rows.json", "--tokens", &tokens]);
        let mut child = command
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{error}"));
        std::thread::sleep(Duration::from_millis(30));
        command::run(
            Path::new("/bin/sh"),
            &["-c", &format!("kill -{signal} {} 2>/dev/null || :", child.id())],
        )
        .ok();
        let whole = child.wait().is_ok_and(|status| status.success());
        assert_eq!(
            place.names(),
            ["config.json", "model.safetensors", "program", "rows.json"],
            "{signal}"
        );
        // A signal may come when the file is in place, but the program has not ended yet.
        let found = place.read("rows.json");
        let old = found == b"old";
        assert!(!(old && whole), "{signal}");
        assert!(
            old || serde_json::from_slice::<serde_json::Value>(&found).is_ok(),
            "{signal}"
        );
        fs::write(place.dir.join("rows.json"), "old").unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let place = Place::new("full-disk");
    let tokens = vec!["7"; 500].join(",");
    let script = format!(
        "mount -t tmpfs -o size=64k none full || exit 77\n\
         echo old > full/rows.st; echo old > full/state\n\
         ./program logits --tokens {tokens} -o full/rows.st; echo $?\n\
         ./program logits --tokens {tokens} -o /dev/null --save-state full/state; echo $?\n\
         ls -A full; cat full/rows.st full/state"
    );
    fs::create_dir_all(place.dir.join("full")).unwrap_or_else(|error| panic!("{error}"));
    let answer = command::run_in(&place.dir, Path::new("unshare"), &["-m", "sh", "-c", &script]);
    if answer.code != Some(0) {
        // Only an administrator makes file systems.
        return;
    }
    assert_eq!(answer.stdout, "2\n2\nrows.st\nstate\nold\nold\n", "{}", answer.stderr);
    assert_eq!(
        answer.stderr.matches("the disk is full").count(),
        2,
        "{}",
        answer.stderr
    );
}
