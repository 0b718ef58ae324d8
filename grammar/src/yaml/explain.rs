//! Why a text is not YAML, in words of the file: which line belongs where, which bracket or quote is open.

use super::lines::{Line, Opened, lines, opened};
use crate::{
    ast::Span,
    diag::{Diagnostic, FileId},
};

/// A parser's complaint `info` at a byte of the text, as what is wrong with the lines around it.
pub(super) fn explain(file: FileId, text: &str, at: usize, info: &str) -> Diagnostic {
    let lines = lines(text);
    let at = at.min(text.len());
    let n = lines.iter().rposition(|l| l.start <= at).unwrap_or(0);
    let broken = Broken {
        file,
        text,
        lines: &lines,
        n,
        at,
    };
    let about = |words: &[&str]| words.iter().any(|w| info.contains(w));
    broken
        .tab(about(&["tab"]))
        .or_else(|| broken.alias(about(&["anchor"])))
        .or_else(|| broken.unclosed(about(&["quoted scalar"])))
        .or_else(|| broken.colons().filter(|_| about(&["mapping values"])))
        .or_else(|| {
            broken
                .column()
                .filter(|_| about(&["block", "key", "indent", "mapping", "document"]))
        })
        .unwrap_or_else(|| broken.other(info))
}

/// A text that does not parse, and the line where the parser gave up.
struct Broken<'t> {
    file: FileId,
    text: &'t str,
    lines: &'t [Line<'t>],
    n: usize,
    at: usize,
}

/// Entries that more can follow: where they start, and the last of them.
struct Block<'t> {
    column: usize,
    list: bool,
    last: &'t Line<'t>,
}

impl Block<'_> {
    fn beside(&self) -> String {
        let begins = self.last.begins();
        // The keys of an entry of a list stand beside the first of them.
        let key = if self.list {
            begins
        } else {
            begins.replacen("`- ", "`", 1)
        };
        format!("column {} beside {key}", self.column + 1)
    }
}

impl<'t> Broken<'t> {
    fn error(&self, from: usize, to: usize, message: impl Into<String>) -> Diagnostic {
        let to = to.clamp(from, self.text.len().max(from));
        Diagnostic::error("yaml", message).label(self.file, Span::new(from, to), "")
    }

    /// The line where the parser gave up and those behind it up to the next one that holds something.
    fn near(&self) -> impl Iterator<Item = (usize, &'t Line<'t>)> {
        let last = (self.n + 1..self.lines.len()).find(|n| !self.lines[*n].is_empty());
        let all = self.lines.iter().enumerate().skip(self.n);
        all.take(last.unwrap_or(self.n) - self.n + 1)
    }

    fn tab(&self, meant: bool) -> Option<Diagnostic> {
        let leading = self.near().find_map(|(n, line)| Some((n, line, line.leading_tab()?)));
        let any = || {
            let mut lines = self.near().filter(|_| meant);
            lines.find_map(|(n, line)| Some((n, line, line.text.find('\t')?)))
        };
        let (n, line, tab) = leading.or_else(any)?;
        let tabs = line.text[tab..].chars().take_while(|c| *c == '\t').count();
        let from = line.start + tab;
        let d = self.error(from, from + tabs, "tabs are not allowed for indentation in YAML");
        Some(d.help(self.where_it_belongs(n, "write spaces instead")))
    }

    fn unclosed(&self, quoted: bool) -> Option<Diagnostic> {
        // A quote without a partner reaches to the end of the text.
        let to = if quoted { self.text.len() } else { self.at };
        match opened(&self.text[..to])? {
            Opened::Quote(at) => {
                let quote = &self.text[at..=at];
                let inside = if quote == "'" { "twice: ''" } else { "as \\\"" };
                let d = self.error(at, at + 1, "this quote is unmatched");
                Some(d.help(format!(
                    "end the text with {quote}; one that is part of it is written {inside}"
                )))
            }
            Opened::Bracket(at) => {
                let open = &self.text[at..=at];
                let close = if open == "{" { "}" } else { "]" };
                let rest = self.text[self.at..].lines().next().unwrap_or("");
                if self.lines[self.n].start <= at && !rest.trim().is_empty() {
                    let message = format!("what follows does not fit between `{open}` and `{close}`");
                    let d = self.error(self.at, self.at, message);
                    let d = d.also(self.file, Span::new(at, at + 1), "opened here");
                    return Some(d.help(
                        "entries are separated by commas, a space follows each `:`, and a value that contains brackets, braces or commas must be quoted",
                    ));
                }
                let d = self.error(at, at + 1, format!("this `{open}` has no `{close}`"));
                Some(d.help(format!("write `{close}` where its entries end")))
            }
        }
    }

    fn alias(&self, meant: bool) -> Option<Diagnostic> {
        let star = self.text[self.at..].starts_with('*') || meant;
        star.then(|| {
            let message = "YAML reads a value that starts with `*` as an alias, and this one names nothing";
            let d = self.error(self.at, self.at + 1, message);
            d.help("put an expression that starts so in quotes")
        })
    }

    /// Two colons in one line, or one in a line that cannot have any.
    fn colons(&self) -> Option<Diagnostic> {
        let line = &self.lines[self.n];
        let first = line.colon()?;
        if line.start + first < self.at {
            let d = self.error(self.at, self.at + 1, "this line has a second `:`");
            return Some(d.help("a value that contains a colon must be quoted; another key must be on its own line"));
        }
        self.word(self.n)
    }

    /// A word without a colon, and below it a line that is part of it.
    fn word(&self, n: usize) -> Option<Diagnostic> {
        let line = &self.lines[n];
        let before = self.lines[..n].iter().rev().find(|l| !l.is_empty())?;
        if let (None, Some((key, value))) = (before.colon(), before.content().split_once(':')) {
            let colon = before.start + before.content_column() + key.len();
            let d = self.error(colon, colon + 1, "there is no space after this `:`");
            return Some(d.help(format!("write `{key}: {value}`")));
        }
        let part = before.content_column() < line.column() + usize::from(before.is_item());
        if before.colon().is_some() || before.content().starts_with(['{', '[']) || !part {
            return None;
        }
        let word = before.content();
        let start = before.start + before.content_column();
        let message = format!("`{word}` ends without a colon, and what follows is part of it");
        let d = self.error(start, start + word.len(), message);
        let d = d.also(self.file, line.span(), "this line");
        Some(d.help(if before.is_item() {
            format!("write `- {word}: {{}}`: then the keys below it belong to the same entry")
        } else {
            format!("write `{word}:`")
        }))
    }

    /// A line that starts at a column where nothing that is open has entries, or entries of another form.
    fn column(&self) -> Option<Diagnostic> {
        let (n, line) = self.near().find(|(_, line)| !line.is_empty())?;
        if let Some(d) = self.word(n) {
            return Some(d);
        }
        let blocks = self.blocks(n);
        let span = line.span();
        let d = |message: String| self.error(span.start as usize, span.end as usize, message);
        let Some(block) = blocks.iter().rev().find(|b| b.column == line.column()) else {
            let message = format!("no entry starts at column {}", line.column() + 1);
            return Some(d(message).help(self.where_it_belongs(n, "move this line")));
        };
        if block.list != line.is_item() {
            let (is, wanted) = if block.list { ("no", "with") } else { ("a", "without") };
            let message = format!(
                "there is {is} `- ` before this, and {} starts {wanted} one",
                block.last.begins()
            );
            return Some(d(message).help(self.where_it_belongs(n, "indent it like the surrounding lines, or move it")));
        }
        (line.colon().is_none() && !line.is_item()).then(|| {
            let message = "there is no `:` after this key".to_owned();
            d(message).help("write `key: value`, with a space after the colon")
        })
    }

    fn other(&self, info: &str) -> Diagnostic {
        let d = self.error(self.at, self.at, format!("this is not YAML: {info}"));
        d.help("a value must be quoted if it starts with `@`, `%`, `&`, `!`, `|`, `>` or a backtick, or contains `: ` or ` #`")
    }

    /// What to do with a line, and the columns of the entries that it could be one of.
    fn where_it_belongs(&self, n: usize, what: &str) -> String {
        let blocks = self.blocks(n);
        let mut columns: Vec<String> = blocks.iter().rev().take(3).map(Block::beside).collect();
        // Behind a key without a value any deeper column will do.
        let before = self.lines[..n].iter().rev().find(|l| !l.is_empty());
        if let Some(line) = before.filter(|l| l.content().ends_with(':'))
            && let Some(key) = line.key()
        {
            columns.insert(
                0,
                format!("column {} for an entry of `{key}`", line.content_column() + 3),
            );
        }
        match columns.is_empty() {
            true => what.to_owned(),
            false => format!("{what}: {}", columns.join(", ")),
        }
    }

    /// The entries that a line could stand beside, from the outside in.
    fn blocks(&self, n: usize) -> Vec<Block<'t>> {
        let mut open: Vec<Block<'t>> = Vec::new();
        for line in self.lines[..n].iter().filter(|l| !l.is_empty()) {
            let column = line.column();
            let ends = |b: &Block<'_>| b.column > column || (b.column == column && b.list && !line.is_item());
            open.retain(|b| !ends(b));
            let mut starts = vec![(column, line.is_item())];
            if line.is_item() && line.colon().is_some() {
                starts.push((line.content_column(), false));
            }
            for (column, list) in starts {
                match open.last_mut().filter(|b| b.column == column && b.list == list) {
                    Some(block) => block.last = line,
                    None => open.push(Block {
                        column,
                        list,
                        last: line,
                    }),
                }
            }
        }
        open
    }
}
