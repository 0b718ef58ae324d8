//! Libraries in the languages that they are for: the examples of docs/embedding.md in C, Rust and Python, installed as their users do.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use seqc_tests::{
    command, document,
    fixture::{self, Fixture},
    root, scratch,
};
use serde_json::{Value, json};

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Runs a command line in a directory; what it printed.
fn shell(dir: &Path, line: &str) -> String {
    command::run_in(dir, Path::new("/bin/sh"), &["-ec", line]).ok().stdout
}

/// A tokenizer of so many tokens: the bytes of text, then words that no text has.
fn bytes_tokenizer(vocab: usize) -> Value {
    // Printable characters stand for themselves, all others for those behind the last byte.
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 256;
    let mut letter = |byte: u32| match printable(byte) {
        true => byte,
        false => {
            next += 1;
            next - 1
        }
    };
    let letters = (0..256).map(|byte| char::from_u32(letter(byte)).unwrap_or('?').to_string());
    let words = letters.chain((256..vocab).map(|id| format!("unused{id}")));
    let vocab: serde_json::Map<String, Value> = words.enumerate().map(|(id, word)| (word, json!(id))).collect();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": level,
        "decoder": level,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    })
}

/// The model of a tiny checkpoint that reads and writes text.
fn model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let dir = scratch("packages");
        let checkpoint = dir.join("checkpoint");
        fs::create_dir_all(&checkpoint).unwrap_or_else(|error| panic!("{error}"));
        for name in ["config.json", "model.safetensors"] {
            let from = Fixture::open("llama").dir.join(name);
            fs::copy(&from, checkpoint.join(name)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
        write(&checkpoint.join("tokenizer.json"), &bytes_tokenizer(320).to_string());
        let template =
            "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}<assistant>";
        write(
            &checkpoint.join("tokenizer_config.json"),
            &json!({"chat_template": template}).to_string(),
        );
        let model = dir.join("model.yaml");
        let words = ["import", "checkpoint", "-o", "model.yaml"];
        command::run_in(&dir, command::seqc_binary(), &words).ok();
        model
    })
}

/// The snippets of the page in a language.
fn examples(language: &str) -> Vec<String> {
    let snippets = document::snippets(&root().join("docs").join("embedding.md"));
    let found = snippets.into_iter().filter(|snippet| snippet.language == language);
    found.map(|snippet| snippet.text).collect()
}

/// What the program of the model answers.
fn expected() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let dir = model().parent().unwrap_or(Path::new("."));
        command::run_in(dir, command::seqc_binary(), &["build", "model.yaml", "-o", "program"]).ok();
        shell(dir, "./program generate --chat Hello -n 16")
    })
}

/// The program of the model, which drafts for its libraries.
fn drafts() -> PathBuf {
    expected();
    model().with_file_name("program")
}

/// Builds the model's library in a form, with more words, in a folder of its own.
fn built(folder: &str, words: &[&str]) -> PathBuf {
    let dir = scratch(folder);
    let model = model().display().to_string();
    command::run_in(&dir, command::seqc_binary(), &[&["build", &model], words].concat()).ok();
    dir
}

#[test]
fn the_example_in_c_answers() {
    let dir = built("package-c", &["--emit", "lib", "-o", "libmodel.so"]);
    for (name, text) in examples("c").iter().enumerate() {
        write(&dir.join(format!("main{name}.c")), text);
    }
    let files = model().with_file_name("checkpoint").display().to_string();
    let compiled = "cc -Wall -Wextra -Werror main0.c -I.";
    let shared = format!("{compiled} -L. -lmodel -Wl,-rpath,. -o main && ./main");
    assert_eq!(shell(&dir, &shared), expected());
    let fixed = format!("{compiled} libmodel.a -lm -lpthread -o main && ./main {files}");
    assert_eq!(shell(&dir, &fixed), expected());
    // With its files inside, a program with the static library needs nothing beside it.
    built("package-c", &["--emit", "lib", "-o", "libinside.so", "--embed-weights"]);
    let elsewhere = scratch("package-c-elsewhere").join("main").display().to_string();
    let inside =
        format!("{compiled} libinside.a -lm -lpthread -o {elsewhere} && strip {elsewhere} && cd / && {elsewhere}");
    assert_eq!(shell(&dir, &inside), expected());
    // Files that are given are looked for, and the error names them.
    let said = command::run_in(&dir, &dir.join("main"), &["/nowhere"]).refused();
    assert!(said.contains("/nowhere"), "{said}");
}

/// A workspace of the crate in `model` and of one that uses it, with this text.
pub(super) fn workspace(dir: &Path, main: &str) {
    fs::create_dir_all(dir.join("user/src")).unwrap_or_else(|error| panic!("{error}"));
    write(
        &dir.join("Cargo.toml"),
        "[workspace]\nmembers = [\"model\", \"user\"]\nresolver = \"3\"\n",
    );
    let manifest = "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
        [dependencies]\nmodel = { path = \"../model\" }\n";
    write(&dir.join("user/Cargo.toml"), manifest);
    write(&dir.join("user/src/main.rs"), main);
}

#[test]
fn the_crate_builds_without_a_network_and_answers() {
    let dir = built("package-rust", &["--emit", "crate", "-o", "model", "--embed-weights"]);
    workspace(&dir, &examples("rust")[0]);
    fs::create_dir_all(dir.join("user/src/bin")).unwrap_or_else(|error| panic!("{error}"));
    let more = fixture::folder().join("packages.rs");
    fs::copy(&more, dir.join("user/src/bin/more.rs")).unwrap_or_else(|error| panic!("{}: {error}", more.display()));
    let run = "env -u RUSTFLAGS -u CARGO_TARGET_DIR cargo run --quiet --offline --bin";
    assert_eq!(shell(&dir.join("user"), &format!("{run} user")), expected());
    shell(&dir.join("user"), &format!("{run} more -- {}", drafts().display()));
    // Its own tests, and the example in its documentation, compile without a warning.
    shell(
        &dir.join("model"),
        "RUSTFLAGS='-D warnings' cargo test --quiet --offline -p model",
    );
    shell(
        &dir.join("model"),
        "RUSTDOCFLAGS='-D warnings' cargo doc --quiet --offline --no-deps",
    );
    let said = refused(&["--emit", "crate", "-o", &dir.join("user").display().to_string()]);
    assert!(said.contains("--force"), "a folder with other contents: {said}");
}

/// What is said of a build with these words, which is wrong usage.
fn refused(words: &[&str]) -> String {
    let model = model().display().to_string();
    let answer = command::seqc(&[&["build", &model], words].concat());
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    answer.stderr
}

/// Installs wheels of a folder in an environment of its own there, `fresh`.
pub(super) fn install(dir: &Path, wheels: &str) {
    shell(dir, "python3 -m venv fresh");
    let install = format!("fresh/bin/python -m pip install --quiet --disable-pip-version-check {wheels}");
    let installed = command::run_in(dir, Path::new("/bin/sh"), &["-ec", &install]);
    assert_eq!(
        installed.code,
        Some(0),
        "pip gets numpy from its index or PIP_FIND_LINKS: {}",
        installed.stderr
    );
}

#[test]
fn the_wheel_installs_in_a_fresh_environment_and_answers() {
    let dir = built("package-python", &["--emit", "wheel", "-o", ".", "--embed-weights"]);
    install(&dir, "./model-*.whl");
    let examples = examples("python");
    for (n, text) in examples.iter().enumerate() {
        write(&dir.join(format!("main{n}.py")), text);
    }
    assert_eq!(shell(&dir, "fresh/bin/python main0.py"), expected());
    let batch = shell(&dir, "fresh/bin/python main1.py");
    assert_eq!(batch.matches(',').count(), 2, "{batch}");
    let script = fixture::folder().join("packages.py");
    shell(
        &dir,
        &format!("fresh/bin/python {} {}", script.display(), drafts().display()),
    );
    let said = refused(&["--emit", "wheel", "-o", "model.whl"]);
    assert!(said.contains("name a folder"), "{said}");
}
