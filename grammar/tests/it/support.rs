//! What the tests share: the project's files, and messages as text.

use seqc_grammar::{Diagnostic, line_column};
use std::{fs, path::PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names and texts of the files of a directory with an ending, in order.
pub(crate) fn files(dir: &str, ending: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join(dir)).unwrap_or_else(|e| panic!("{dir}: {e}"));
    let mut files: Vec<(String, String)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path.display().to_string(), text)
        })
        .collect();
    files.sort();
    files
}

/// Fenced snippets of a language in the documents.
pub(crate) fn snippets(language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, text) in files("docs", ".md") {
        for (n, part) in text.split(&format!("```{language}\n")).skip(1).enumerate() {
            let body = part.split("```").next().unwrap_or("");
            found.push((format!("{name}, snippet {n}"), body.to_owned()));
        }
    }
    found
}

/// Layer files of the project and of its documents.
pub(crate) fn layer_texts() -> Vec<(String, String)> {
    let mut texts = files("specs/layers", ".seq");
    texts.extend(files("specs/caches", ".seq"));
    texts.extend(files("tests/layers", ".seq"));
    texts.extend(snippets("seq"));
    texts
}

/// A message as a person reads it: place, text, the line with marks, other places, help.
pub(crate) fn render(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let (line, column) = line_column(text, d.span().start);
        out.push_str(&format!("{line}:{column} [{}] {}\n", d.code, d.message));
        for label in &d.labels {
            let (line, column) = line_column(text, label.span.start);
            let shown = text.lines().nth(line - 1).unwrap_or("");
            let width = (label.span.of(text).lines().next().unwrap_or("").chars().count()).max(1);
            let mark = if label.primary { "^" } else { "-" }.repeat(width);
            out.push_str(&format!(
                "  | {shown}\n  | {}{mark} {}\n",
                " ".repeat(column - 1),
                label.text
            ));
        }
        for help in &d.help {
            out.push_str(&format!("  = {help}\n"));
        }
    }
    out
}

/// Compares with the stored snapshot, in which input and output stand together.
pub(crate) fn snapshot(name: &str, input: &str, output: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, format!("{input}----\n{output}")));
}
