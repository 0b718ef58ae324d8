//! What expressions of a family refer to, and texts with expressions in braces.

use crate::{
    diag::{Diagnostic, Placed},
    elaborate::children,
    known::{self, Env, Problem},
    source::{FileId, Place},
};
use seqc_grammar::{
    ast::{Expr, ExprKind, Span},
    model::{Part, Template, parse_template},
};

/// Functions of expressions of families, beside those of models.
const FUNCTIONS: &[&str] = &["get", "has", "only", "tensor", "tensors", "shape", "per_layer"];

/// A name, or the name of a function, in an expression.
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) is_called: bool,
}

/// Everything that an expression refers to, the braces of its texts included.
pub(super) fn references(file: FileId, expr: &Expr) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut rest = vec![expr.clone()];
    while let Some(expr) = rest.pop() {
        let refer = |name: &str, span, is_called| Reference {
            name: name.to_owned(),
            place: Place::new(file, span),
            is_called,
        };
        match &expr.kind {
            ExprKind::Name(name) => found.push(refer(name, expr.span, false)),
            ExprKind::Call { callee, .. } => found.push(refer(&callee.text, callee.span, true)),
            ExprKind::Str(text) => rest.extend(braces(file, text, inside(expr.span)).0),
            _ => {}
        }
        rest.extend(children(&expr).into_iter().cloned());
    }
    found
}

/// The place of a text between its quotes.
fn inside(span: Span) -> Span {
    Span::new(span.start as usize + 1, span.end as usize)
}

/// The expressions in the braces of a text, and what is wrong with them.
pub(super) fn braces(file: FileId, text: &str, span: Span) -> (Vec<Expr>, Vec<Diagnostic>) {
    let (template, problems) = parse_template(file, text, span);
    let exprs = template.parts.into_iter().flat_map(|part| match part {
        Part::Text(_) => Vec::new(),
        Part::Expr(expr) => vec![expr],
        Part::Range(from, to) | Part::Rows(from, to) => vec![from, to],
    });
    (exprs.collect(), problems)
}

/// A text with the values of the expressions in its braces.
pub(super) fn filled(text: &str, env: &dyn Env, span: Span) -> Result<String, Problem> {
    let (template, problems): (Template, _) = parse_template(FileId::default(), text, inside(span));
    if let Some(problem) = problems.into_iter().next() {
        return Err(Problem::new(span, problem.message));
    }
    let parts = template.parts.iter().map(|part| match part {
        Part::Text(text) => Ok(text.clone()),
        Part::Expr(expr) => Ok(known::evaluate(expr, env)?.to_string()),
        Part::Range(..) | Part::Rows(..) => Err(Problem::new(span, "braces hold one expression here, not a range")),
    });
    parts.collect()
}

/// What refers to nothing, of the names that are known here.
pub(super) fn unknown(reference: &Reference, names: &[&str]) -> Option<Diagnostic> {
    let name = reference.name.as_str();
    if reference.is_called {
        let is_known = FUNCTIONS.contains(&name) || known::function(name, &[]).is_some();
        let message = format!("there is no function `{name}` here");
        return (!is_known).then(|| {
            let d = Diagnostic::new("unknown-name", reference.place, message);
            d.did_you_mean(name, FUNCTIONS.iter().copied().chain(known::function_names()))
        });
    }
    let message = format!("`{name}` is not defined here");
    (!names.contains(&name))
        .then(|| Diagnostic::new("unknown-name", reference.place, message).did_you_mean(name, names.iter().copied()))
}
