//! The seam to the grammar: reading layer files and expressions, laying layer files out.

use crate::{diag::Diagnostic, source::FileId};
use seqc_grammar::ast::{Expr, File, Span};

/// What is wrong with an expression, and where in its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Kind of message.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do.
    pub help: Option<String>,
}

/// The definitions of a layer file and what is wrong with its text.
pub fn file(id: FileId, text: &str) -> (File, Vec<Diagnostic>) {
    let parsed = seqc_grammar::parse(text);
    let problems = parsed.diagnostics.iter().map(|d| Diagnostic::of_grammar(id, d)).collect();
    (parsed.file, problems)
}

/// An expression that fills a text.
pub fn expr(text: &str) -> (Expr, Vec<Problem>) {
    let (expr, diagnostics) = seqc_grammar::parse_expr(text);
    let problems = diagnostics.into_iter().map(|d| Problem {
        code: d.code,
        message: d.message,
        span: d.span,
        help: d.hint,
    });
    (expr, problems.collect())
}

/// A layer file laid out.
pub fn format(text: &str) -> String {
    text.to_owned()
}
