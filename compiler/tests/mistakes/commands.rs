//! Mistakes on the command line, and files that must not be lost.

use super::{MODEL, folder, seqc, snapshot, write};
use std::{fs, path::Path};

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
    ("model-a-folder", &["check", "empty"], "empty"),
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
    (
        "depth-beyond-the-end",
        &["tasks", "passkey", "--depth", "0,1.5"],
        "--depth 1.5",
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
    (
        "family-not-there",
        &["import", "tiny", "--family", "nowhere.yaml", "-o", "m.yaml"],
        "nowhere.yaml",
    ),
    (
        "family-of-another-architecture",
        &["import", "tiny", "--family", "other.yaml", "-o", "m.yaml"],
        "other.yaml",
    ),
    (
        "family-reads-a-key-that-is-not-there",
        &["import", "tiny", "--family", "key.yaml", "-o", "m.yaml"],
        "key.yaml:3:12",
    ),
    (
        "family-refuses-the-configuration",
        &["import", "tiny", "--family", "strict.yaml", "-o", "m.yaml"],
        "8 is too small",
    ),
    (
        "family-is-no-yaml",
        &["import", "tiny", "--family", "tab.yaml", "-o", "m.yaml"],
        "tab.yaml:2:1",
    ),
    (
        "family-of-an-unfinished-size",
        &["import", "tiny", "--family", "unfinished.yaml", "-o", "m.yaml"],
        "unfinished.yaml:3:15",
    ),
    (
        "eval-of-random-weights-of-a-type",
        &[
            "eval",
            "model.yaml",
            "--set",
            "weights.type=bf16",
            "--tokens",
            "1",
            "-o",
            "y",
        ],
        "random weights",
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

/// A checkpoint, and families that do not fit it.
fn families(dir: &Path) {
    fs::create_dir_all(dir.join("tiny")).unwrap_or_else(|e| panic!("{e}"));
    write(
        &dir.join("tiny/config.json"),
        "{\"model_type\": \"tiny\", \"hidden_size\": 8}",
    );
    let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let length = char::from(header.len() as u8);
    write(
        &dir.join("tiny/model.safetensors"),
        &format!("{length}\0\0\0\0\0\0\0{header}\0\0\0\0"),
    );
    for (name, match_, rest) in [
        ("other", "large", "sizes: {d: 8}\nstack: [norm]\n"),
        ("key", "tiny", "sizes: {d: get(\"hiden_size\")}\nstack: [norm]\n"),
        (
            "strict",
            "tiny",
            "sizes: {d: get(\"hidden_size\")}\nrequire:\n  - {if: d > 8, say: \"{d} is too small\"}\nstack: [norm]\n",
        ),
        ("unfinished", "tiny", "sizes: {d: 8 +}\nstack: [norm]\n"),
    ] {
        let text = format!("family: {name}\nmatch: {{model_type: {match_}}}\n{rest}");
        write(&dir.join(format!("{name}.yaml")), &text);
    }
    write(&dir.join("tab.yaml"), "match:\n\tmodel_type: tiny\n");
}

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
    for name in ["folder", "empty"] {
        fs::create_dir_all(dir.join(name)).unwrap_or_else(|e| panic!("{e}"));
    }
    write(&dir.join("folder/config.json"), "{\"model_type\": \"nothing\"}");
    families(&dir);
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
