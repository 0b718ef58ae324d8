//! The formatter of layer files: spaces and indentation. Line breaks and the positions of comments are kept.

use crate::{
    ast::Span,
    lex::{KEYWORDS, Kind, Token, lex},
};

/// Columns of a statement in its definition.
const INDENT: usize = 2;

/// How much further a line stands that continues a statement outside brackets.
const HANGING: usize = 4;

/// Marks with a space on both sides; those of [`CLOSE`] may stand without.
const SPACED: &[&str] = &[
    "->", "||", "&&", "==", "!=", "<=", ">=", "<", ">", "=", "+", "-", "@", "{", "}",
];

/// Operators that stand close or with spaces, as they are written: `2*d`, `2 * d`.
const CLOSE: &[&str] = &["*", "/", "%", "**"];

/// Lays a layer file out. The text is expected to be right; a text that is not may come back as it was.
pub fn format_file(text: &str) -> String {
    let tokens = lex(text);
    let out = Layout::new(text, &tokens).run();
    let same = |a: &str, b: &str| meaning(a, &lex(a)) == meaning(b, &lex(b));
    if same(text, &out) { out } else { text.to_owned() }
}

/// Everything in a text that is not layout.
fn meaning<'t>(text: &'t str, tokens: &[Token]) -> Vec<&'t str> {
    let tokens = tokens.iter().filter(|t| t.kind != Kind::Newline);
    tokens.map(|t| t.span.of(text).trim_end()).collect()
}

/// A bracket that is open.
struct Open<'t> {
    mark: &'t str,
    /// Where lines inside it begin.
    column: usize,
    /// Where the line begins that it stands on.
    line: usize,
}

struct Layout<'t> {
    text: &'t str,
    tokens: &'t [Token],
    out: String,
    open: Vec<Open<'t>>,
    /// Where the current line begins, and where its text is up to.
    line: usize,
    column: usize,
    /// Where a continued line of the current statement begins.
    hanging: usize,
    /// Whether the last line ended in the middle of a statement.
    unfinished: bool,
    blank: bool,
}

impl<'t> Layout<'t> {
    fn new(text: &'t str, tokens: &'t [Token]) -> Layout<'t> {
        Layout {
            text,
            tokens,
            out: String::with_capacity(text.len()),
            open: Vec::new(),
            line: 0,
            column: 0,
            hanging: HANGING,
            unfinished: false,
            blank: false,
        }
    }

    fn of(&self, n: usize) -> &'t str {
        self.tokens.get(n).map_or("", |t| t.span.of(self.text))
    }

    fn run(mut self) -> String {
        let mut at = 0;
        while at < self.tokens.len() {
            let rest = &self.tokens[at..];
            let length = rest.iter().position(|t| matches!(t.kind, Kind::Newline | Kind::End));
            let end = at + length.unwrap_or(rest.len());
            match self.brace(at, end) {
                _ if at == end => self.blank = true,
                Some(brace) => {
                    self.lay_line(at, brace);
                    self.lay_line(brace, end);
                }
                None => self.lay_line(at, end),
            }
            at = end + 1;
        }
        self.out
    }

    /// The brace that ends a definition of several lines behind its last statement: it gets a line of its own.
    fn brace(&self, at: usize, end: usize) -> Option<usize> {
        let brace = (at..end).rev().find(|n| !self.is_comment(*n))?;
        let here = (at..end).any(|n| self.of(n) == "{");
        (self.of(brace) == "}" && brace > at && !here).then_some(brace)
    }

    /// The line of the tokens from `at` to before `end`, which are some.
    fn lay_line(&mut self, at: usize, end: usize) {
        self.blank_line(at);
        self.line = self.indent(at);
        if !self.unfinished {
            self.hanging = match self.of(at) {
                word @ ("param" | "dim") => self.line + word.len() + 1,
                _ => self.line + HANGING,
            };
        }
        self.out.push_str(&" ".repeat(self.line));
        self.column = self.line;
        for n in at..end {
            let gap = if n == at { 0 } else { self.gap(n) };
            self.out.push_str(&" ".repeat(gap));
            self.put(n, gap, end);
        }
        self.out.push('\n');
        let code = (at..end).rev().find(|n| !self.is_comment(*n));
        self.unfinished = code.map_or(self.unfinished, |n| self.is_open_ended(n));
    }

    /// An empty line before this one, where there was one and where it separates something.
    fn blank_line(&mut self, at: usize) {
        let blank = std::mem::take(&mut self.blank);
        let after_definition = self.open.is_empty() && self.out.ends_with("\n}\n");
        let inside = !self.out.is_empty() && !self.out.ends_with("{\n") && self.of(at) != "}";
        if (blank && inside && !self.unfinished) || after_definition {
            self.out.push('\n');
        }
    }

    /// Where the line begins whose first token this is.
    fn indent(&self, at: usize) -> usize {
        let closing = matches!(self.of(at), ")" | "]" | "}");
        match self.open.last() {
            Some(open) if closing && open.mark == "{" => 0,
            Some(open) if closing => open.line,
            Some(open) if open.mark != "{" => open.column,
            Some(_) if self.unfinished => self.hanging,
            Some(_) => INDENT,
            None if self.unfinished => HANGING,
            None => 0,
        }
    }

    fn put(&mut self, n: usize, gap: usize, end: usize) {
        let text = self.of(n).trim_end();
        self.out.push_str(text);
        self.column += gap + text.chars().count();
        match text {
            _ if self.tokens[n].kind != Kind::Mark => {}
            "(" | "[" | "{" => {
                let last = (n + 1..end).all(|m| self.is_comment(m));
                self.open.push(Open {
                    mark: text,
                    column: if last { self.line + INDENT } else { self.column },
                    line: self.line,
                });
            }
            ")" | "]" | "}" => drop(self.open.pop()),
            _ => {}
        }
    }

    fn is_comment(&self, n: usize) -> bool {
        matches!(self.tokens[n].kind, Kind::Comment | Kind::Doc)
    }

    /// Whether an expression or a list goes on after this token.
    fn is_open_ended(&self, n: usize) -> bool {
        let text = self.of(n);
        match self.tokens[n].kind {
            Kind::Mark => !matches!(text, ")" | "]" | "}" | "{"),
            Kind::Word => matches!(text, "if" | "then" | "else" | "param" | "dim"),
            _ => false,
        }
    }

    /// Spaces before a token that is not the first of its line.
    fn gap(&self, n: usize) -> usize {
        let written = self.written(n);
        let (before, text) = (self.of(n - 1), self.of(n));
        let lines_up = self.open.last().is_some_and(|o| o.mark == "{") && text == "=" && !self.unfinished;
        if self.is_comment(n) || lines_up || (before == "dim" && self.open.len() == 1) {
            return written.max(1);
        }
        usize::from(self.has_space(n, before, text))
    }

    /// Spaces that were written before a token.
    fn written(&self, n: usize) -> usize {
        let before = n.checked_sub(1).map_or(0, |n| self.tokens[n].span.end);
        let gap = Span {
            start: before,
            end: self.tokens[n].span.start,
        };
        gap.of(self.text).chars().filter(|c| *c != '\r').count()
    }

    fn has_space(&self, n: usize, before: &str, text: &str) -> bool {
        let ends_value = |n: usize| self.ends_value(n);
        if self.is_prefix(n - 1) || matches!(text, "," | ";" | ":" | ")" | "]") || matches!(before, "(" | "[") {
            return text == ";" && before == "(" && self.written(n) > 0;
        }
        match text {
            "(" if ends_value(n - 1) => self.names_follow(n),
            "[" if ends_value(n - 1) => false,
            _ if CLOSE.contains(&text) && ends_value(n - 1) => self.written(n) > 0 || self.written(n + 1) > 0,
            _ if CLOSE.contains(&before) => self.written(n - 1) > 0 || self.written(n) > 0,
            _ if SPACED.contains(&text) || SPACED.contains(&before) => true,
            _ => true,
        }
    }

    fn ends_value(&self, n: usize) -> bool {
        match self.tokens[n].kind {
            Kind::Word => !KEYWORDS.contains(&self.of(n)) || matches!(self.of(n), "true" | "false" | "inf"),
            Kind::Number | Kind::Str => true,
            Kind::Mark => matches!(self.of(n), ")" | "]"),
            _ => false,
        }
    }

    /// Whether this is a sign that belongs to what follows: `-x`, `!x`.
    fn is_prefix(&self, n: usize) -> bool {
        let before = (0..n)
            .rev()
            .find(|m| self.tokens[*m].kind != Kind::Newline && !self.is_comment(*m));
        match self.of(n) {
            "!" => true,
            "-" => !before.is_some_and(|m| self.ends_value(m)),
            _ => false,
        }
    }

    /// Whether a bracket after a name lists the parameters of an argument: `where (i, j) = …`.
    fn names_follow(&self, n: usize) -> bool {
        let is_list = |m: &usize| self.tokens[*m].kind == Kind::Word || self.of(*m) == ",";
        let close = (n + 1..self.tokens.len()).find(|m| !is_list(m));
        let inside = self.open.last().is_some_and(|o| o.mark != "{");
        inside && close.is_some_and(|m| self.of(m) == ")" && self.of(m + 1) == "=")
    }
}
