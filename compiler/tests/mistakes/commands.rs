//! Mistakes on the command line, and files that must not be lost.

use super::{MODEL, folder, seqc, snapshot, write};
use std::fs;

/// Name, words, and what the message names.
pub(super) const MISTAKES: &[(&str, &[&str], &str)] = &[
    ("verb-misspelt", &["chek", "model.yaml"], "chek"),
    ("flag-misspelt", &["build", "model.yaml", "--ouput", "x"], "--ouput"),
    ("emit-misspelt", &["build", "model.yaml", "--emit", "exee"], "exee"),
    ("output-missing", &["eval", "model.yaml", "--tokens", "1"], "--output"),
    (
        "tokens-words",
        &["eval", "model.yaml", "--tokens", "one", "-o", "y"],
        "one",
    ),
    (
        "tokens-beyond-the-vocabulary",
        &["eval", "model.yaml", "--tokens", "999", "-o", "y"],
        "999",
    ),
    ("model-not-there", &["check", "nowhere.yaml"], "nowhere.yaml"),
    ("model-a-folder", &["check", "folder"], "folder"),
    ("model-a-layer", &["build", "layer.seq"], "layer.seq"),
    ("layer-a-model", &["fmt", "model.yaml"], "model.yaml"),
    (
        "weights-not-there",
        &["inspect", "model.yaml", "--weights", "nowhere"],
        "nowhere",
    ),
    (
        "set-without-value",
        &["check", "model.yaml", "--set", "sizes.d"],
        "sizes.d",
    ),
    (
        "set-of-an-unknown-size",
        &["check", "model.yaml", "--set", "sizes.dd=3"],
        "sizes.dd",
    ),
    (
        "set-beyond-the-list",
        &["check", "model.yaml", "--set", "stack.9.repeat=3"],
        "stack.9.repeat",
    ),
    ("at-zero", &["compare", "model.yaml", "--at", "0"], "--at 0"),
    (
        "profile-a-model",
        &["compare", "model.yaml", "--profile", "model.yaml"],
        "model.yaml",
    ),
    ("topic-unknown", &["help", "bad-sise"], "bad-sise"),
    (
        "build-over-the-model",
        &["build", "model.yaml", "-o", "model.yaml"],
        "model.yaml",
    ),
    (
        "build-over-a-link-to-the-model",
        &["build", "model.yaml", "-o", "link"],
        "link",
    ),
    (
        "build-into-a-folder",
        &["build", "model.yaml", "-o", "folder"],
        "folder",
    ),
    (
        "build-into-no-folder",
        &["build", "model.yaml", "-o", "nowhere/m"],
        "nowhere",
    ),
    (
        "graph-over-the-layer",
        &["build", "user.yaml", "--emit", "graph", "-o", "layer.seq"],
        "layer.seq",
    ),
    (
        "eval-over-the-layer",
        &["eval", "user.yaml", "--tokens", "1", "-o", "layer.seq"],
        "layer.seq",
    ),
    ("init-over-a-file", &["init", "model.yaml", "-o", "trained"], "trained"),
    (
        "init-over-the-tokenizer",
        &["init", "user.yaml", "--force", "-o", "tokenizer.json"],
        "tokenizer.json",
    ),
    (
        "import-over-the-checkpoint",
        &["import", "folder", "--force", "-o", "folder/config.json"],
        "config.json",
    ),
    ("import-of-nothing", &["import", "nowhere", "-o", "m.yaml"], "nowhere"),
];

/// What no command may touch.
const KEPT: &[&str] = &[
    "model.yaml",
    "user.yaml",
    "layer.seq",
    "trained",
    "tokenizer.json",
    "folder/config.json",
];

#[test]
fn command_lines_are_refused_with_what_is_wrong_and_what_to_do() {
    let dir = folder("commands");
    write(&dir.join("model.yaml"), MODEL);
    write(&dir.join("layer.seq"), "layer thing(x: [d]) -> [d] { x }\n");
    let user = MODEL
        .replace("weights:", "use: [layer.seq]\ntokenizer: tokenizer.json\nweights:")
        .replace("swiglu: {hidden: 128}", "thing: {}");
    write(&dir.join("user.yaml"), &user);
    write(&dir.join("trained"), "weights");
    write(&dir.join("tokenizer.json"), "{}");
    fs::create_dir_all(dir.join("folder")).unwrap_or_else(|e| panic!("{e}"));
    write(&dir.join("folder/config.json"), "{\"model_type\": \"nothing\"}");
    std::os::unix::fs::symlink("model.yaml", dir.join("link")).unwrap_or_else(|e| panic!("{e}"));
    let texts = || {
        KEPT.iter()
            .map(|name| fs::read(dir.join(name)).ok())
            .collect::<Vec<_>>()
    };
    let before = texts();
    for (name, words, names) in MISTAKES {
        let (status, said) = seqc(&dir, words);
        assert!(matches!(status, Some(1 | 2)), "{name}: {status:?} {said}");
        assert!(said.contains(names), "{name}: `{names}` is not named: {said}");
        let remedy = ["help:", "Help:", "tip:", "Usage:", "token ids are"];
        assert!(
            remedy.iter().any(|word| said.contains(word)),
            "{name}: no remedy: {said}"
        );
        assert_eq!(texts(), before, "{name} changed a file");
        snapshot(name, words, &said);
    }
}
