//! What is wrong with an input: every place that takes part in it, the chain that led there, and a remedy.

use crate::ast::Span;

/// A file of a [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// The texts that messages point into.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    /// Adds a text with the path that messages call it by.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        self.files.push((path.into(), text.into()));
        FileId(self.files.len() as u32 - 1)
    }

    /// The path of a file; empty for an id of another `Sources`.
    pub fn path(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |(path, _)| path)
    }

    /// The text of a file; empty for an id of another `Sources`.
    pub fn text(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |(_, text)| text)
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn line_column(&self, file: FileId, byte: u32) -> (usize, usize) {
        line_column(self.text(file), byte)
    }
}

/// Line and column of a byte of a text, both from 1; the column counts characters.
pub fn line_column(text: &str, byte: u32) -> (usize, usize) {
    let mut at = (byte as usize).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// The input can be used, but is probably not what was meant.
    Warning,
}

/// A place and what it has to do with a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub span: Span,
    /// A sentence; may be empty at the main place.
    pub text: String,
    /// Whether this is the main place of the message.
    pub primary: bool,
}

/// One message about an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Short fixed name of the kind of message, for tests and documents.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The places that take part.
    pub labels: Vec<Label>,
    /// The inferences and instantiations that led there, each a place and a sentence.
    pub trace: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            labels: Vec::new(),
            trace: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message)
        }
    }

    /// The main place.
    pub fn label(mut self, file: FileId, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label::new(file, span, text, true));
        self
    }

    /// Another place that takes part.
    pub fn also(mut self, file: FileId, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label::new(file, span, text, false));
        self
    }

    /// A step of the chain that led to the main place.
    pub fn trace(mut self, file: FileId, span: Span, text: impl Into<String>) -> Diagnostic {
        self.trace.push(Label::new(file, span, text, false));
        self
    }

    /// What to do.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help.push(help.into());
        self
    }

    /// Offers the nearest of some names, or all of them where none is near and there are few.
    pub fn did_you_mean<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        let mut known: Vec<&str> = known.into_iter().collect();
        known.sort_unstable();
        known.dedup();
        match nearest(name, known.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if known.is_empty() || known.len() > 24 => self,
            None => self.help(format!("known here: {}", known.join(", "))),
        }
    }

    /// The main place, if there is one.
    pub fn primary(&self) -> Option<&Label> {
        self.labels.iter().find(|l| l.primary)
    }

    /// The bytes of the main place; empty where there is none.
    pub fn span(&self) -> Span {
        self.primary().map(|l| l.span).unwrap_or_default()
    }

    /// Whether the input cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Label {
    /// A place with a sentence.
    pub fn new(file: FileId, span: Span, text: impl Into<String>, primary: bool) -> Label {
        Label {
            file,
            span,
            text: text.into(),
            primary,
        }
    }
}

/// Longest name that is compared with others.
const LONGEST_NAME: usize = 100;

/// The candidate that is nearest to a mistyped name, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > LONGEST_NAME {
        return None;
    }
    let reach = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|c| c.chars().count() <= LONGEST_NAME)
        .map(|c| (distance(name, c), c))
        .filter(|(d, c)| *d <= reach && *d < c.chars().count().min(length))
        .min()
        .map(|(_, c)| c)
}

/// Number of insertions, deletions, replacements and swaps of neighbours between two words, whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_meant() {
        let known = ["heads", "hidden", "window", "kv_heads"];
        assert_eq!(nearest("haeds", known), Some("heads"));
        assert_eq!(nearest("windw", known), Some("window"));
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        assert_eq!(line_column("äb\nc", 2), (1, 2));
        assert_eq!(line_column("äb\nc", 1), (1, 1));
        assert_eq!(line_column("äb\nc", 4), (2, 1));
        assert_eq!(line_column("äb\nc", 99), (2, 2));
    }
}
