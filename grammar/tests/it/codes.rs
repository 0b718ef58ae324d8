//! Every kind of message of this crate stands in a snapshot.

use crate::support::{render, snapshot};
use seqc_grammar::{FileId, MAX_FILE, MAX_NESTING, parse_file, parse_model};
use std::{collections::BTreeSet, fs, path::Path};

const FILE: FileId = FileId(0);

#[test]
fn limits_are_explained() {
    let deep = format!("fn f(x) {{\n  {}x\n}}\n", "(".repeat(MAX_NESTING + 1));
    let (_, problems) = parse_file(FILE, &deep);
    snapshot("limit_nesting", "", &render(&deep, &problems));
    let long = format!("fn f(x) {{\n  x{}\n}}\n", "+x".repeat(501));
    let (_, problems) = parse_file(FILE, &long);
    snapshot("limit_operators", "", &render("", &problems));
    let (_, problems) = parse_file(FILE, &" ".repeat(MAX_FILE + 1));
    snapshot("limit_file", "", &render("", &problems));
    let nested = format!("a: {}", "[".repeat(80));
    let (_, problems) = parse_model(FILE, &nested);
    snapshot("limit_yaml", "", &render("", &problems));
}

/// Texts of all files under a directory.
fn texts(dir: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut work = vec![dir.to_path_buf()];
    while let Some(path) = work.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{e}"));
            work.extend(entries.flatten().map(|e| e.path()));
        } else {
            out.push(fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}")));
        }
    }
    out
}

#[test]
fn every_code_stands_in_a_snapshot() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = BTreeSet::new();
    for text in texts(&root.join("src")) {
        for (at, start) in text.match_indices("Diagnostic::error(") {
            let rest = text[at + start.len()..].trim_start().strip_prefix('"');
            codes.extend(rest.and_then(|r| r.split_once('"')).map(|(code, _)| code.to_owned()));
        }
    }
    assert!(codes.len() > 10, "{codes:?}");
    let snapshots = texts(&root.join("tests/it/snapshots")).concat();
    codes.retain(|code| !snapshots.contains(&format!(" [{code}] ")));
    assert!(codes.is_empty(), "without a snapshot: {codes:?}");
}
