//! From tokens to syntax trees. Reads on after a mistake: at the next statement, or at the next definition.
//!
//! The parser descends recursively: the files below hold methods of one `Parser`, a construct each, which call each other
//! as the constructs of the language contain each other.

mod def;
mod expr;
mod stmt;
mod words;

use crate::{
    ast::{Expr, ExprKind, File, Ident, Span},
    diag::{Diagnostic, FileId},
    lex::{KEYWORDS, Kind, Token, lex},
};
use std::collections::HashMap;

/// Longest layer file in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// Deepest nesting of brackets, conditions and signs.
pub const MAX_NESTING: usize = 64;

/// Most operators of one expression: what bounds the height of its tree.
pub const MAX_OPERATORS: usize = 500;

/// Most messages about one file.
const MAX_MESSAGES: usize = 50;

/// Reading could not go on; why is already reported.
pub(crate) struct Stop;

pub(crate) type Read<T> = Result<T, Stop>;

/// Reads a layer file. What cannot be read is left out of the tree and reported; the messages are in the order of the text.
pub fn parse_file(file: FileId, text: &str) -> (File, Vec<Diagnostic>) {
    if let Some(d) = too_long(file, text) {
        return (File::default(), vec![d]);
    }
    let mut parser = Parser::new(file, text, 0);
    let items = parser.definitions();
    (File { items }, parser.diagnostics)
}

/// Reads a text that is one expression and begins `offset` bytes into its file.
/// What cannot be read is [`ExprKind::Error`] and reported.
pub fn parse_expr(file: FileId, text: &str, offset: u32) -> (Expr, Vec<Diagnostic>) {
    if let Some(d) = too_long(file, text) {
        return (
            error_expr(Span {
                start: offset,
                end: offset,
            }),
            vec![d],
        );
    }
    let mut parser = Parser::new(file, text, offset);
    parser.open_brackets = 1;
    let expr = match parser.whole_expr() {
        Ok(expr) => expr,
        Err(Stop) => error_expr(parser.shift(Span::new(0, text.len()))),
    };
    (expr, parser.diagnostics)
}

fn too_long(file: FileId, text: &str) -> Option<Diagnostic> {
    (text.len() > MAX_FILE).then(|| {
        let message = format!("this file is longer than {MAX_FILE} bytes");
        Diagnostic::error("too-long", message).label(file, Span::default(), "")
    })
}

fn error_expr(span: Span) -> Expr {
    Expr {
        kind: ExprKind::Error,
        span,
    }
}

pub(crate) struct Parser<'t> {
    file: FileId,
    text: &'t str,
    /// Where the text begins in its file.
    offset: u32,
    /// All but comments.
    tokens: Vec<Token>,
    at: usize,
    /// How many brackets are open: inside, ends of lines mean nothing.
    open_brackets: usize,
    nesting: usize,
    /// Operators of the current expression.
    operators: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Parser<'t> {
    fn new(file: FileId, text: &'t str, offset: u32) -> Parser<'t> {
        let mut tokens = lex(text);
        tokens.retain(|t| t.kind != Kind::Comment);
        Parser {
            file,
            text,
            offset,
            tokens,
            at: 0,
            open_brackets: 0,
            nesting: 0,
            operators: 0,
            diagnostics: Vec::new(),
        }
    }

    /// A place in the file, from one in the text.
    fn shift(&self, span: Span) -> Span {
        Span {
            start: span.start.saturating_add(self.offset),
            end: span.end.saturating_add(self.offset),
        }
    }

    /// The token that comes next. Inside brackets ends of lines are passed over.
    fn peek(&mut self) -> Token {
        while self.open_brackets > 0 && matches!(self.raw().kind, Kind::Newline | Kind::Doc) {
            self.at += 1;
        }
        self.raw()
    }

    /// The token that comes next, ends of lines included.
    fn raw(&self) -> Token {
        // The last token is the end, which is never passed.
        self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn text_of(&self, token: Token) -> &'t str {
        token.span.of(self.text)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Where the last token ended.
    fn last_end(&self) -> Span {
        let last = self.at.checked_sub(1).and_then(|n| self.tokens.get(n));
        self.shift(last.map(|t| t.span).unwrap_or_default())
    }

    fn is(&mut self, mark: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Mark && self.text_of(token) == mark
    }

    fn is_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Word && self.text_of(token) == word
    }

    /// Takes a mark if it comes next.
    fn eat(&mut self, mark: &str) -> Option<Span> {
        self.is(mark).then(|| {
            let span = self.next().span;
            self.shift(span)
        })
    }

    fn eat_word(&mut self, word: &str) -> Option<Span> {
        self.is_word(word).then(|| {
            let span = self.next().span;
            self.shift(span)
        })
    }

    fn expect(&mut self, mark: &str, wanted: &str) -> Read<Span> {
        match self.eat(mark) {
            Some(span) => Ok(span),
            None => Err(self.unexpected(wanted)),
        }
    }

    /// A bracket that was opened is closed.
    fn close(&mut self, mark: &str, open: Span, wanted: &str) -> Read<Span> {
        if self.is(mark) {
            let span = self.next().span;
            self.open_brackets = self.open_brackets.saturating_sub(1);
            return Ok(self.shift(span));
        }
        let d = self.unexpected_message(wanted).also(self.file, open, "opened here");
        Err(self.report(d))
    }

    fn open(&mut self, mark: &str, wanted: &str) -> Read<Span> {
        let span = self.expect(mark, wanted)?;
        self.open_brackets += 1;
        Ok(span)
    }

    /// Whether the next token is a word that may be a name.
    fn is_name(&mut self) -> bool {
        let token = self.peek();
        token.kind == Kind::Word && !KEYWORDS.contains(&self.text_of(token))
    }

    fn name(&mut self, wanted: &str) -> Read<Ident> {
        if !self.is_name() {
            return Err(self.unexpected(wanted));
        }
        let token = self.next();
        Ok(Ident {
            text: self.text_of(token).to_owned(),
            span: self.shift(token.span),
        })
    }

    /// Reports names that stand twice.
    fn distinct<'n>(&mut self, names: impl Iterator<Item = &'n Ident>) {
        let mut seen = HashMap::new();
        for name in names {
            let first = *seen.entry(name.text.as_str()).or_insert(name.span);
            if first != name.span {
                let d = Diagnostic::error("defined-twice", format!("`{}` stands twice", name.text))
                    .label(self.file, name.span, "again here")
                    .also(self.file, first, "first here");
                self.report(d);
            }
        }
    }

    fn report(&mut self, d: Diagnostic) -> Stop {
        if self.diagnostics.len() < MAX_MESSAGES {
            self.diagnostics.push(d);
        }
        Stop
    }

    /// Goes one level deeper, unless that is too deep.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.nesting >= MAX_NESTING {
            let span = self.peek().span;
            let message = format!("this is nested more than {MAX_NESTING} deep");
            let d = Diagnostic::error("too-deep", message)
                .label(self.file, self.shift(span), "")
                .help("give a part of it a name of its own");
            return Err(self.report(d));
        }
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }
}
