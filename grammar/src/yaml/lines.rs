//! The lines of a text that is to be YAML: columns, keys, and what is open where. For messages only.

use crate::ast::Span;

/// A line, without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'t> {
    pub(super) start: usize,
    pub(super) text: &'t str,
    /// It starts inside brackets or quotes: its column means nothing.
    inside: bool,
}

/// What is open at the end of a text, and the byte where it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Bracket(usize),
    Quote(usize),
}

impl<'t> Line<'t> {
    /// Whether no entry starts here: nothing, a comment, or the inside of brackets or quotes.
    pub(super) fn is_empty(&self) -> bool {
        let text = self.text.trim();
        self.inside || text.is_empty() || text.starts_with('#')
    }

    /// Where the text starts.
    pub(super) fn column(&self) -> usize {
        self.text.len() - self.text.trim_start_matches([' ', '\t']).len()
    }

    /// Where a tab stands in front of the text.
    pub(super) fn leading_tab(&self) -> Option<usize> {
        let tab = self.text[..self.column()].find('\t')?;
        (!self.is_empty()).then_some(tab)
    }

    /// Whether this is an entry of a list.
    pub(super) fn is_item(&self) -> bool {
        let text = self.text.trim();
        text == "-" || text.starts_with("- ")
    }

    /// Where the text behind all `- ` starts.
    pub(super) fn content_column(&self) -> usize {
        let mut at = self.column();
        while self.text[at..].starts_with("- ") {
            at += 2;
            at += self.text[at..].len() - self.text[at..].trim_start().len();
        }
        at
    }

    /// The text behind all `- `, without a comment.
    pub(super) fn content(&self) -> &'t str {
        let content = &self.text[self.content_column()..];
        content.split(" #").next().unwrap_or("").trim()
    }

    /// Where the first colon stands that ends a key.
    pub(super) fn colon(&self) -> Option<usize> {
        let from = self.content_column();
        let content = &self.text[from..];
        if content.starts_with(['{', '[', '#']) {
            return None;
        }
        let quote = content.chars().next().filter(|c| matches!(c, '"' | '\''));
        let skip = quote.map_or(0, |q| content[1..].find(q).map_or(content.len(), |n| n + 2));
        let ends = |(n, _): &(usize, &str)| {
            let next = content[n + 1..].chars().next();
            next.is_none_or(char::is_whitespace)
        };
        let found = content.match_indices(':').filter(|(n, _)| *n >= skip).find(ends);
        found.map(|(n, _)| from + n)
    }

    /// The key of this line.
    pub(super) fn key(&self) -> Option<&'t str> {
        self.colon().map(|n| self.text[self.content_column()..n].trim())
    }

    /// How an entry of this line begins, for messages.
    pub(super) fn begins(&self) -> String {
        let dash = if self.is_item() { "- " } else { "" };
        let content = self.key().unwrap_or_else(|| self.content());
        let short: String = content.chars().take(40).collect();
        format!("`{dash}{short}`")
    }

    /// The bytes of the text.
    pub(super) fn span(&self) -> Span {
        let column = self.column();
        Span::new(self.start + column, self.start + self.text.trim_end().len().max(column))
    }
}

/// The lines of a text.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut inside = vec![false];
    scan(text, &mut |open| inside.push(open));
    let mut start = 0;
    let mut all = Vec::new();
    for (line, inside) in text.split('\n').zip(inside) {
        let text = line.strip_suffix('\r').unwrap_or(line);
        all.push(Line { start, text, inside });
        start += line.len() + 1;
    }
    all
}

/// What is open at the end of a text.
pub(super) fn opened(text: &str) -> Option<Opened> {
    scan(text, &mut |_| {})
}

/// Traverses a text; `line` is called for every line with whether it starts inside brackets or quotes.
fn scan(text: &str, line: &mut dyn FnMut(bool)) -> Option<Opened> {
    let bytes = text.as_bytes();
    let next = |at: usize| bytes.get(at + 1).copied().unwrap_or(b'\n');
    let mut brackets: Vec<usize> = Vec::new();
    let mut quote: Option<(u8, usize)> = None;
    // Whether a value may start here.
    let mut fresh = true;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match (quote, byte) {
            (_, b'\n') => {
                line(quote.is_some() || !brackets.is_empty());
                fresh = true;
            }
            (Some((b'"', _)), b'\\') if next(at) != b'\n' => at += 1,
            (Some((b'\'', _)), b'\'') if next(at) == b'\'' => at += 1,
            (Some((open, _)), _) => {
                if byte == open {
                    quote = None;
                    fresh = false;
                }
            }
            (None, b'#') if at == 0 || bytes[at - 1].is_ascii_whitespace() => {
                while next(at) != b'\n' {
                    at += 1;
                }
            }
            (None, b'"' | b'\'') if fresh => quote = Some((byte, at)),
            (None, b'[' | b'{') if fresh || !brackets.is_empty() => {
                brackets.push(at);
                fresh = true;
            }
            (None, b']' | b'}') => {
                brackets.pop();
                fresh = false;
            }
            (None, b',') => fresh = !brackets.is_empty(),
            (None, b':' | b'-') if next(at).is_ascii_whitespace() => fresh |= byte == b':',
            (None, b' ' | b'\t' | b'\r') => {}
            (None, _) => fresh = false,
        }
        at += 1;
    }
    let bracket = brackets.last().map(|at| Opened::Bracket(*at));
    quote.map(|(_, at)| Opened::Quote(at)).or(bracket)
}
