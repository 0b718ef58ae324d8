//! Tokens of layer files, by the rules of `seq.pest`.

use crate::ast::Span;
use pest::Parser;

mod rules {
    #![allow(missing_docs, unreachable_pub)]

    /// The rules of `seq.pest`.
    #[derive(pest_derive::Parser)]
    #[grammar = "seq.pest"]
    pub(super) struct Rules;
}

use rules::{Rule, Rules};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Word,
    /// A number.
    Number,
    /// A string with its quotes.
    Str,
    /// A string that does not end on its line.
    OpenStr,
    /// An operator or a bracket.
    Mark,
    /// End of a line.
    Newline,
    /// `// …`
    Comment,
    /// `/// …`
    Doc,
    /// A character that means nothing.
    Unknown,
    /// End of the text.
    End,
}

/// A token; its text is that of its span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// Words that are no names. `layer`, `block`, `fn` and `cache` mean something only where a line starts with them and a name.
pub(crate) const KEYWORDS: &[&str] = &["dim", "param", "if", "then", "else", "when", "true", "false", "inf"];

/// All tokens of a text; the last one is [`Kind::End`].
pub(crate) fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    match Rules::parse(Rule::tokens, text) {
        Ok(pairs) => {
            let inner = pairs.into_iter().flat_map(|tokens| tokens.into_inner());
            tokens.extend(inner.filter_map(|pair| {
                let span = Span::new(pair.as_span().start(), pair.as_span().end());
                Some(Token {
                    kind: kind(pair.as_rule())?,
                    span,
                })
            }));
        }
        // Every character matches a rule, so this is for completeness alone.
        Err(_) => tokens.push(Token {
            kind: Kind::Unknown,
            span: Span::new(0, text.len()),
        }),
    }
    tokens.push(Token {
        kind: Kind::End,
        span: Span::new(text.len(), text.len()),
    });
    tokens
}

fn kind(rule: Rule) -> Option<Kind> {
    Some(match rule {
        Rule::newline => Kind::Newline,
        Rule::doc => Kind::Doc,
        Rule::comment => Kind::Comment,
        Rule::string => Kind::Str,
        Rule::open => Kind::OpenStr,
        Rule::number => Kind::Number,
        Rule::word => Kind::Word,
        Rule::mark => Kind::Mark,
        Rule::unknown => Kind::Unknown,
        Rule::EOI | Rule::tokens | Rule::gap | Rule::line | Rule::power | Rule::digits => return None,
    })
}
