//! The seam to the grammar: reading layer files and expressions, laying layer files out.

use crate::{
    diag::Diagnostic,
    source::{FileId, Place},
};
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
    let (file, problems) = seqc_grammar::parse_file(seqc_grammar::FileId(id.0), text);
    (file, problems.iter().map(diagnostic).collect())
}

/// An expression that fills a text.
pub fn expr(text: &str) -> (Expr, Vec<Problem>) {
    let (expr, problems) = seqc_grammar::parse_expr(seqc_grammar::FileId(0), text, 0);
    let problems = problems.into_iter().map(|d| Problem {
        code: d.code,
        span: d.span(),
        message: d.message,
        help: d.help.into_iter().next(),
    });
    (expr, problems.collect())
}

/// A layer file laid out.
pub fn format(text: &str) -> String {
    text.to_owned()
}

/// A message of the grammar; its files have the same numbers.
fn diagnostic(d: &seqc_grammar::Diagnostic) -> Diagnostic {
    let place = |l: &seqc_grammar::Label| Place::new(FileId(l.file.0), l.span);
    let mut out = Diagnostic::bare(d.code, d.message.clone());
    for label in &d.labels {
        if label.primary && out.place.is_none() {
            out.place = Some(place(label));
            out.label = label.text.clone();
        } else {
            out.notes.push((place(label), label.text.clone()));
        }
    }
    out.trace = d.trace.iter().map(|l| (place(l), l.text.clone())).collect();
    out.help = (!d.help.is_empty()).then(|| d.help.join("; "));
    out
}
