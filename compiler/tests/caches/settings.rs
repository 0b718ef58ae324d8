//! Settings of the library's caches that make no sense are refused.

use super::{read, specs};
use std::path::PathBuf;

/// The settings of each cache of the library that has any, by its name.
fn settings() -> Vec<(String, Vec<String>)> {
    let dir = specs().join("caches");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{e}"))
        .map(|e| e.unwrap_or_else(|e| panic!("{e}")).path())
        .collect();
    files.sort();
    let of = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{e}"));
        let start = text.find("\ncache ").expect("a cache");
        let head = &text[start + "\ncache ".len()..];
        let (name, rest) = head.split_once('(').expect("settings");
        let (settings, _) = rest.split_once(')').expect("settings");
        let names = settings.trim_start_matches(';').split(',');
        let names = names.filter_map(|setting| Some(setting.split('=').next()?.trim().to_owned()));
        (name.to_owned(), names.filter(|name| !name.is_empty()).collect())
    };
    files.iter().map(of).collect()
}

/// What is said of an attention with this entry of `cache:`; `None`: nothing.
fn refused(entry: &str) -> Option<String> {
    let path = specs().join("policies/streaming.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
    read(&path, text, &[("cache", entry)]).err()
}

#[test]
fn negative_settings_and_fractions_are_refused() {
    for (cache, settings) in settings() {
        for setting in settings {
            for value in ["-1", "-0.5", "2.5"] {
                // A distance, and a divisor: any number from 0, or from 1.
                if value == "2.5" && matches!(setting.as_str(), "ceiling" | "beta") {
                    continue;
                }
                let entry = format!("{{policy: {cache}, {setting}: {value}}}");
                let said = refused(&entry).unwrap_or_else(|| panic!("{entry} is accepted"));
                assert!(
                    said.contains("[refused]") || said.contains("[bad-size]"),
                    "{entry}: {said}"
                );
            }
        }
    }
}

#[test]
fn settings_at_their_borders_are_accepted() {
    for entry in [
        "h2o, heavy: 0, recent: 1",
        "streaming, sink: 0, recent: 1",
        "snapkv, budget: 2, window: 1, size: 1",
        "pyramidkv, budget: 2, window: 1, size: 1, beta: 1",
        "lm_infinite, sink: 0, local: 1, ceiling: 0",
        "selfextend, group: 1, window: 1",
        "lacache, budget: 4, sink: 0, span: 1, overlap: 0",
        "think, drop: 0, window: 1, recent: 0",
        "kivi, bits: 8, group: 1, residual: 1",
        "quest, page: 1, budget: 1",
        "longheads, size: 1, chunks: 4",
        "infllm, init: 0, local: 1, size: 1, few: 1, representatives: 1, chunk: 1",
        "hip, keys: 1, size: 1, sink: 0, window: 0, chunk: 1, dense: 0",
        "longmem, local: 0, size: 1, few: 1",
    ] {
        let said = refused(&format!("{{policy: {entry}}}"));
        assert!(said.is_none(), "{entry}: {}", said.unwrap_or_default());
    }
}

#[test]
fn settings_of_zero_are_refused_where_nothing_would_be_left() {
    for entry in [
        "snapkv, window: 0",
        "snapkv, size: 0",
        "snapkv, budget: 16, window: 16",
        "pyramidkv, beta: 0",
        "pyramidkv, window: 0",
        "streaming, recent: 0",
        "lm_infinite, local: 0",
        "selfextend, group: 0",
        "selfextend, window: 0",
        "lacache, span: 0",
        "lacache, budget: 0",
        "think, drop: 1",
        "think, window: 0",
        "kivi, group: 0",
        "kivi, residual: 0",
        "kivi, bits: 0",
        "quest, page: 0",
        "quest, page: 16, budget: 15",
        "longheads, chunks: 3",
        "infllm, local: 0",
        "infllm, representatives: 0",
        "hip, keys: 3, size: 2",
        "hip, chunk: 0",
        "longmem, few: 0",
    ] {
        assert!(refused(&format!("{{policy: {entry}}}")).is_some(), "{entry}");
    }
}
