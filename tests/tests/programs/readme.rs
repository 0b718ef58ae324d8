//! The commands in the documents: those of README.md run as written, all others at least exist.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use seqc_tests::{command, document, fixture::Fixture, root};

/// Indented command lines of a document: the program and its words, without the explanation that stands far to the right.
fn commands(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let lines = lines.map(|line| line.split("   ").next().unwrap_or(line).trim().to_owned());
    lines
        .filter(|line| {
            ["seqc ", "./", "target/release/seqc "]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .collect()
}

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    found.extend(["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| root().join(name)));
    found.retain(|path| path.extension().is_some_and(|ending| ending == "md") && path.exists());
    found
}

/// A directory as a reader of README.md has it: the repository's `specs` and `build`, and the two files of the first layer.
fn workplace() -> PathBuf {
    let dir = seqc_tests::scratch("readme");
    for name in ["specs", "build"] {
        symlink(root().join(name), dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for snippet in document::snippets(&root().join("README.md")) {
        let name = match snippet.language.as_str() {
            "seq" => format!(
                "{}.seq",
                document::head(&snippet.text).map(|head| head.name).unwrap_or_default()
            ),
            "yaml" => "model.yaml".to_owned(),
            _ => continue,
        };
        fs::write(dir.join(name), snippet.text).unwrap_or_else(|error| panic!("{error}"));
    }
    dir
}

#[test]
fn the_commands_of_the_readme_work_as_written() {
    let dir = workplace();
    let tools = command::seqc_binary()
        .parent()
        .map(|dir| dir.display().to_string())
        .unwrap_or_default();
    let path = format!("{tools}:{}", env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for line in commands(&root().join("README.md")) {
        let needs_weights = line.contains("smollm2");
        let example =
            line.contains("path/to") || line.starts_with("./program") || line.contains(" model.yaml -o program");
        if example || (needs_weights && env::var_os("SEQC_NO_WEIGHTS").is_some()) {
            continue;
        }
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(line.replace("target/release/seqc", "seqc"))
            .current_dir(&dir)
            .env("PATH", &path)
            .stdin(Stdio::null());
        let output = shell.output().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(
            output.status.success(),
            "{line}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} commands were found in README.md");
}

#[test]
fn verbs_and_flags_in_the_documents_exist() {
    let mut wrong = Vec::new();
    for path in documents() {
        for line in commands(&path).iter().filter(|line| line.contains("seqc ")) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            // Some verbs have verbs of their own.
            let verbs = words.iter().take_while(|word| !word.starts_with('-')).copied();
            let help = command::seqc(&verbs.chain(["--help"]).collect::<Vec<_>>());
            let flags = words
                .iter()
                .filter_map(|word| word.strip_prefix("--"))
                .filter_map(|flag| flag.split('=').next());
            let unknown: Vec<&str> = flags
                .filter(|flag| !help.stdout.contains(&format!("--{flag}")))
                .collect();
            if help.code != Some(0) || !unknown.is_empty() {
                wrong.push(format!("{}: {line}: {unknown:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What documents say of built programs: `./program verb --flags`.
#[test]
fn verbs_and_flags_of_programs_in_the_documents_exist() {
    let program = Fixture::open("llama").program();
    let (mut tried, mut wrong) = (0, Vec::new());
    for path in documents() {
        for line in commands(&path).iter().filter(|line| line.starts_with("./")) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            let Some((verb, rest)) = words.split_first() else {
                continue;
            };
            let help = program.run(&[(*verb).to_owned(), "--help".to_owned()]);
            let flags = rest.iter().filter(|word| word.len() > 1 && word.starts_with('-'));
            let known = |flag: &str| {
                let words = help.stdout.split([' ', ',', '\n']);
                words.into_iter().any(|word| word == flag)
            };
            let unknown: Vec<&&str> = flags.filter(|flag| !known(flag)).collect();
            if help.code != Some(0) || !unknown.is_empty() {
                wrong.push(format!("{}: {line}: {unknown:?}", path.display()));
            }
            tried += 1;
        }
    }
    assert!(tried > 8, "only {tried} commands of programs were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
