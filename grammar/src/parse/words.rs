//! What a message says was found, and what it advises.

use super::{Parser, Stop};
use crate::{
    diag::Diagnostic,
    lex::{KEYWORDS, Kind, Token},
};

/// Signs of other languages and what is written here instead.
const ADVICE: &[(&str, &str)] = &[
    ("^", "a power is `**`"),
    ("&", "both of two conditions is `&&`"),
    ("|", "one of two conditions is `||`"),
    ("and", "both of two conditions is `&&`"),
    ("or", "one of two conditions is `||`"),
    ("not", "the opposite of a condition is `!`"),
    ("~", "the opposite of a condition is `!`"),
    ("'", "strings are written in double quotes"),
    ("#", "a comment starts with `//`"),
    ("?", "a choice is `if c then a else b`"),
    (".", "there is no member access: a name is a single word"),
    ("·", "a product is `*`, of matrices `@`"),
    ("×", "a product is `*`"),
    ("−", "this is a typographic minus: use `-`"),
    ("≤", "less or equal is `<=`"),
    ("≥", "greater or equal is `>=`"),
    ("≠", "not equal is `!=`"),
    ("let", "a name is defined by `name = expression`"),
    ("return", "the last expression of a definition is its result"),
    ("def", "a definition starts with `layer`, `block`, `fn` or `cache`"),
];

impl Parser<'_> {
    /// What stands at a place, in words.
    pub(super) fn found(&self, token: Token) -> String {
        let text = self.text_of(token);
        match token.kind {
            Kind::End => "the end of the text".to_owned(),
            Kind::Newline => "the end of the line".to_owned(),
            Kind::Doc | Kind::Comment => "a comment".to_owned(),
            Kind::Number => format!("the number `{}`", short(text)),
            Kind::Str | Kind::OpenStr => format!("the string {}", short(text)),
            Kind::Word if KEYWORDS.contains(&text) => format!("the keyword `{text}`"),
            Kind::Word => format!("the name `{}`", short(text)),
            Kind::Mark | Kind::Unknown => format!("`{}`", text.escape_debug().to_string().replace("\\'", "'")),
        }
    }

    /// The message that something else was expected at the next token.
    pub(super) fn unexpected_message(&mut self, wanted: &str) -> Diagnostic {
        let token = self.peek();
        let found = self.found(token);
        let advice = self.advice(token, wanted);
        let message = format!("{wanted} is expected here, not {found}");
        let d =
            Diagnostic::error("syntax", message).label(self.file, self.shift(token.span), format!("expected {wanted}"));
        match advice {
            Some(advice) => d.help(advice),
            None if token.kind == Kind::Word && KEYWORDS.contains(&self.text_of(token)) && wanted.contains("name") => {
                d.help("keywords cannot be names")
            }
            None => d,
        }
    }

    /// What to write instead of a token, where that can be guessed.
    fn advice(&self, token: Token, wanted: &str) -> Option<&'static str> {
        let before = |n: usize| self.at.checked_sub(n).and_then(|at| self.tokens.get(at)).copied();
        let word = |n: usize| before(n).map_or("", |t| self.text_of(t));
        let of = |sign: &str| ADVICE.iter().find(|(s, _)| *s == sign).map(|(_, advice)| *advice);
        match self.text_of(token) {
            "=" if !wanted.contains("operator") => None,
            "=" if before(2).is_some_and(|t| t.kind == Kind::Newline) => Some(
                "a definition begins on this line, but the one above is not complete: it ends with an operator or an open bracket",
            ),
            ":" if wanted.contains("`]`") => {
                Some("part of a vector is `split(x, n, m)`, or entry by entry: `y[i] = x[i + 2]`")
            }
            "=" => Some("two values are compared with `==`"),
            text => of(text).or_else(|| of(word(1)).filter(|_| matches!(word(1), "let" | "return" | "def"))),
        }
    }

    /// Reports that something else was expected at the next token.
    pub(super) fn unexpected(&mut self, wanted: &str) -> Stop {
        let d = self.unexpected_message(wanted);
        self.report(d)
    }
}

/// The start of a text that may be long.
fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        None => text.escape_debug().to_string(),
        Some((at, _)) => format!("{}…", text[..at].escape_debug()),
    }
}
