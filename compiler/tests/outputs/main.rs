//! What the command writes: where results go, what they never replace, and what reaches a terminal.

mod quantised;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const MODEL: &str = "version: 1
model: m
sizes: {d: 16, vocab: 32}
weights: {random: 1}
stack:
  - embed: {vocab: vocab}
  - norm
  - head: {vocab: vocab}
";

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outputs").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    dir
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn seqc(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
    let output = command.current_dir(dir).args(words).output();
    output.unwrap_or_else(|e| panic!("{e}"))
}

fn ok(dir: &Path, words: &[&str]) -> (String, String) {
    let output = seqc(dir, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

fn refused(dir: &Path, words: &[&str]) -> String {
    let output = seqc(dir, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{words:?}: {said}");
    said
}

#[test]
fn programs_go_into_the_current_folder_or_to_standard_output() {
    let dir = folder("current");
    fs::create_dir_all(dir.join("models")).unwrap_or_else(|e| panic!("{e}"));
    write(&dir.join("models/small.yaml"), MODEL);
    let (_, said) = ok(&dir, &["build", "models/small.yaml"]);
    assert_eq!(said, "wrote small\n");
    assert!(!dir.join("models/small").exists());
    let program = seqc(&dir, &["build", "models/small.yaml", "-o", "-"]).stdout;
    assert!(
        program == read(&dir.join("small")),
        "the same program comes out of both"
    );
    let run = Command::new(dir.join("small")).arg("info").output();
    assert!(
        run.is_ok_and(|output| output.status.success()),
        "the program can be started"
    );
}

/// The model has no ending, so that the program would take its name.
#[test]
fn a_model_is_not_replaced_by_its_program() {
    let dir = folder("same-name");
    write(&dir.join("small"), MODEL);
    let said = refused(&dir, &["build", "small"]);
    assert!(said.contains("this is an input"), "{said}");
    fs::hard_link(dir.join("small"), dir.join("other")).unwrap_or_else(|e| panic!("{e}"));
    let said = refused(&dir, &["eval", "small", "--tokens", "1", "-o", "other"]);
    assert!(said.contains("the same file as the input"), "{said}");
    assert_eq!(read(&dir.join("small")), MODEL.as_bytes());
}

/// Shards that an index names are inputs, too, and none is emptied while it is mapped.
#[test]
fn weights_are_not_replaced() {
    let dir = folder("weights");
    write(&dir.join("model.yaml"), MODEL);
    ok(&dir, &["init", "model.yaml", "-o", "part-1.safetensors"]);
    let named = ["embed.weight", "norm.weight", "head.weight"].map(|t| format!("\"{t}\": \"part-1.safetensors\""));
    write(
        &dir.join("all.index.json"),
        &format!("{{\"weight_map\": {{{}}}}}", named.join(", ")),
    );
    let before = read(&dir.join("part-1.safetensors"));
    for weights in ["part-1.safetensors", "all.index.json"] {
        write(
            &dir.join("model.yaml"),
            &MODEL.replace("random: 1", &format!("file: {weights}")),
        );
        ok(&dir, &["check", "model.yaml"]);
        let program: &[&str] = &["build", "model.yaml", "-o", "part-1.safetensors"];
        let graph: &[&str] = &["build", "model.yaml", "--emit", "graph", "-o", "part-1.safetensors"];
        let made: &[&str] = &["init", "model.yaml", "--force", "-o", "part-1.safetensors"];
        let output: &[&str] = &["eval", "model.yaml", "--tokens", "1", "-o", "part-1.safetensors"];
        for words in [program, graph, made, output] {
            let said = refused(&dir, words);
            assert!(
                said.contains("an input") || said.contains("the input"),
                "{words:?}: {said}"
            );
        }
    }
    assert_eq!(read(&dir.join("part-1.safetensors")), before);
}

/// With `--weights none` the file that a model names is not read, and may be written anew.
#[test]
fn weights_that_are_not_read_are_replaced_by_force() {
    let dir = folder("fresh-weights");
    write(
        &dir.join("model.yaml"),
        &MODEL.replace("random: 1", "file: w.safetensors"),
    );
    let none = ["init", "model.yaml", "--weights", "none", "-o", "w.safetensors"];
    ok(&dir, &none);
    let before = read(&dir.join("w.safetensors"));
    let said = refused(&dir, &[&none[..], &["--seed", "2"]].concat());
    assert!(said.contains("exists already"), "{said}");
    ok(&dir, &[&none[..], &["--seed", "2", "--force"]].concat());
    assert_ne!(read(&dir.join("w.safetensors")), before);
    let said = refused(
        &dir,
        &["init", "model.yaml", "--weights", "none", "-o", "model.yaml", "--force"],
    );
    assert!(said.contains("an input"), "{said}");
}

/// Where layers share parameters, `inspect` says under which path they lie.
#[test]
fn paths_of_shared_parameters_are_shown() {
    let dir = folder("shared");
    let stack = "stack:
  - repeat: 3
    of:
      - norm
        if: i != 1
      - norm
        if: i == 1
        params: other.norm
";
    let model = MODEL.split_once("stack:").map_or("", |(head, _)| head).to_owned() + stack;
    write(
        &dir.join("model.yaml"),
        &model
            .replace("weights:", "inputs: {x: \"[d]\"}\nweights:")
            .replace("- norm\n", "- norm: {}\n"),
    );
    let (said, _) = ok(&dir, &["inspect", "model.yaml"]);
    for line in [
        "layers.{0,2}.norm.weight [16] f32\n",
        "layers.1.norm.weight [16] f32 from other.norm.weight\n",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
}

#[test]
fn what_people_edit_is_replaced_by_force_only() {
    let dir = folder("edited");
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hf/llama");
    let llama = llama.display().to_string();
    ok(&dir, &["import", &llama, "-o", "model.yaml"]);
    let imported = read(&dir.join("model.yaml"));
    // The same once more changes nothing.
    ok(&dir, &["import", &llama, "-o", "model.yaml"]);
    write(&dir.join("model.yaml"), "# mine\n");
    let said = refused(&dir, &["import", &llama, "-o", "model.yaml"]);
    assert!(said.contains("[file-exists]") && said.contains("--force"), "{said}");
    assert_eq!(read(&dir.join("model.yaml")), b"# mine\n");
    ok(&dir, &["import", &llama, "-o", "model.yaml", "--force"]);
    assert_eq!(read(&dir.join("model.yaml")), imported);

    write(&dir.join("small.yaml"), MODEL);
    write(&dir.join("seqc.h"), "/* mine */\n");
    let said = refused(&dir, &["build", "small.yaml", "--emit", "lib", "-o", "small.so"]);
    assert!(said.contains("seqc.h") && said.contains("--force"), "{said}");
    assert!(!dir.join("small.so").exists());
    ok(
        &dir,
        &["build", "small.yaml", "--emit", "lib", "-o", "small.so", "--force"],
    );
    assert!(dir.join("small.so").exists() && read(&dir.join("seqc.h")).len() > 1000);
}

/// A write that fails half way: no file may grow.
#[test]
fn a_layer_file_survives_a_failed_write() {
    let dir = folder("full");
    let text = "layer thing(x: [d]) -> [d] {   x }\n";
    write(&dir.join("layer.seq"), text);
    let line = format!(
        "trap '' XFSZ; ulimit -f 0; exec {} fmt layer.seq",
        env!("CARGO_BIN_EXE_seqc")
    );
    let output = Command::new("sh").arg("-c").arg(line).current_dir(&dir).output();
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("[write] Error: layer.seq"), "{said}");
    assert_eq!(read(&dir.join("layer.seq")), text.as_bytes());
    let left: Vec<_> = fs::read_dir(&dir)
        .map(|all| all.flatten().collect())
        .unwrap_or_default();
    assert_eq!(left.len(), 1, "{left:?}");
    ok(&dir, &["fmt", "layer.seq"]);
    assert_ne!(read(&dir.join("layer.seq")), text.as_bytes());
}

/// Names, paths and texts with what a terminal obeys.
#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    const HIDDEN: &[char] = &[
        '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200f}', '\r', '\u{8}', '\u{7}',
    ];
    let evil: String = HIDDEN.iter().collect();
    let dir = folder("terminal");
    let named = MODEL.replace("model: m", "model: \"a\\e[31mb\\u202Ec\\x9Bd\"").replace(
        "  - norm",
        "  - norm: {}\n    name: \"n\\e]0;x\\a\\u2066\"\n    load: {weight: \"t\\e[2J\"}",
    );
    write(&dir.join("named.yaml"), &named);
    write(
        &dir.join("raw.yaml"),
        &MODEL.replace("- norm", &format!("- nrm # {evil}\n  - \"{evil}\"")),
    );
    write(
        &dir.join(format!("file{}.yaml", &evil.replace('/', ""))),
        "version: 2\n",
    );
    write(
        &dir.join("broken.seq"),
        &format!("layer thing(x: [d]) -> [d] {{ x {evil} }}\n"),
    );
    let path = format!("file{evil}.yaml");
    let lines: &[&[&str]] = &[
        &["check", "named.yaml", "-v"],
        &["inspect", "named.yaml"],
        &["inspect", "named.yaml", "--json"],
        &["explain", "named.yaml"],
        &["check", "named.yaml", "--print-effective"],
        &["check", "raw.yaml"],
        &["check", "raw.yaml", "--message-format", "json"],
        &["check", &path],
        &["check", &format!("no{path}")],
        &["check", "broken.seq"],
        &["check", "broken.seq", "--message-format", "json"],
        &["build", "named.yaml", "-o", &format!("{evil}/x")],
        &["check", "named.yaml", "--set", &format!("sizes.{evil}=1")],
        &[&evil],
        &["help", &evil],
        &["build", "named.yaml", &format!("--{evil}")],
    ];
    for words in lines {
        let output = seqc(&dir, words);
        for said in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(said);
            let found = HIDDEN.iter().find(|c| text.contains(**c));
            assert!(found.is_none(), "{words:?} prints {found:?}: {text:?}");
        }
        assert!(output.status.code().is_some_and(|code| code < 3), "{words:?}");
    }
    // What a program reads still means the same.
    let (found, _) = ok(&dir, &["inspect", "named.yaml", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap_or_else(|e| panic!("{e}: {found}"));
    assert_eq!(found["model"], "a\u{1b}[31mb\u{202e}c\u{9b}d");
}

/// Names under `use` show nothing of other files.
#[test]
fn no_line_of_another_file_is_shown() {
    let dir = folder("use");
    let secret = "root:x:0:0:the line that nobody may see";
    write(&dir.join("secret.txt"), secret);
    std::os::unix::fs::symlink("secret.txt", dir.join("link.seq")).unwrap_or_else(|e| panic!("{e}"));
    let deep = dir.join("secret.txt").display().to_string();
    for used in [
        "secret.txt",
        "link.seq",
        "./secret.txt",
        &deep,
        "/dev/zero",
        "/proc/self/environ",
    ] {
        write(
            &dir.join("model.yaml"),
            &MODEL.replace("weights:", &format!("use: [{used}]\nweights:")),
        );
        for format in ["human", "json"] {
            let said = refused(&dir, &["check", "model.yaml", "--message-format", format]);
            assert!(
                said.contains("bad-use") && !said.contains("nobody may see"),
                "{used}: {said}"
            );
        }
    }
}

#[test]
fn several_mistakes_are_summed_up_and_codes_are_explained() {
    let dir = folder("summary");
    write(&dir.join("one.yaml"), &MODEL.replace("- norm", "- nrm\n  - nurm"));
    write(&dir.join("two.yaml"), &MODEL.replace("version: 1", "version: 2"));
    let said = refused(&dir, &["check", "one.yaml", "two.yaml"]);
    assert!(
        said.ends_with("3 errors in 2 files; see `seqc help unknown-layer`\n"),
        "{said}"
    );
    let said = refused(&dir, &["check", "two.yaml"]);
    assert!(!said.contains("errors in"), "{said}");
    let (page, _) = ok(&dir, &["help", "unknown-layer"]);
    assert!(
        page.contains("neither in the library") && page.contains("Do: "),
        "{page}"
    );
    let (verb, _) = ok(&dir, &["help", "build"]);
    assert!(verb.contains("--emit"), "{verb}");
    write(&dir.join("right.yaml"), MODEL);
    let (_, said) = ok(&dir, &["check", "right.yaml", "-v"]);
    assert_eq!(said, "ok: 3 layers, 1.0 k parameters\n");
    let (_, said) = ok(&dir, &["check", "right.yaml"]);
    assert_eq!(said, "", "nothing is said where no terminal is");
}
