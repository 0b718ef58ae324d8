//! The project's own files, for the rules of the source tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories that hold nothing that was written by hand.
const SKIPPED: &[&str] = &["target", ".git", ".venv", "fixtures"];

/// The directory below the root that programs are built in.
const BUILD: &str = "build";

/// A file of the project.
#[derive(Clone, Debug)]
pub struct File {
    /// Path below the root, with `/`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Every file whose name ends in one of `endings`, in order of names.
pub fn files(endings: &[&str]) -> Vec<File> {
    let root = crate::root();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let wanted = paths
        .into_iter()
        .filter(|path| endings.iter().any(|end| path.to_string_lossy().ends_with(end)));
    wanted
        .filter_map(|path| {
            let name = path.strip_prefix(&root).ok()?.to_string_lossy().replace('\\', "/");
            Some(File {
                name,
                text: fs::read_to_string(&path).ok()?,
            })
        })
        .collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            let built = name == BUILD && dir == crate::root();
            if !built && !SKIPPED.iter().any(|skipped| name == *skipped) {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Rust text with its comments blanked out and cut off where the tests inside the file begin.
pub fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            let length = literal_length(rest).unwrap_or(first.len_utf8());
            out.push_str(&rest[..length]);
            length
        };
        rest = &rest[taken..];
    }
    out
}

/// Length of the literal that `text` begins with, if it could hold quotes or slashes.
fn literal_length(text: &str) -> Option<usize> {
    if text.starts_with("'\"'") {
        return Some(3);
    }
    if text.starts_with("r#\"") {
        return Some(text.find("\"#").map_or(text.len(), |end| end + 2));
    }
    text.starts_with('"').then(|| string_length(text))
}

/// Length of the string literal that `text` begins with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
