//! Expressions inside a model: sizes, settings, conditions, templates.

use crate::{
    diag::{Diagnostic, Placed},
    elaborate::{Given, children},
    kinds::{self, Setting},
    known::{self, Env, Kind, Known, Problem},
    library::{Definition, Library},
    source::{FileId, Place},
};
use seqc_grammar::{
    ast::{BinOp, Expr, ExprKind, Ident, Span},
    model::{Part, Template},
};
use std::collections::HashMap;

/// Most tensors that one template names.
const MAX_TENSORS: usize = 100_000;

/// Most entries of an axis of which a part is loaded.
const MAX_ROWS: usize = 1 << 32;

/// Names that an expression of a model may use: sizes and the indices of repeats.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The model file.
    pub file: FileId,
    /// Sizes of the model.
    pub sizes: HashMap<String, Given>,
    /// Indices of the repeats around, outermost first.
    pub indices: Vec<usize>,
}

/// Names of the indices of repeats, innermost first.
pub const INDICES: [&str; 4] = ["i", "j", "k", "l"];

impl Env for Names {
    fn name(&self, name: &str) -> Option<Known> {
        if let Some(depth) = INDICES.iter().position(|n| *n == name)
            && let Some(at) = self.indices.len().checked_sub(depth + 1)
        {
            return Some(Known::Num(self.indices[at] as f64));
        }
        self.sizes.get(name).map(|g| g.value.clone())
    }

    fn call(&self, _callee: &str, _args: &[Expr], _span: Span) -> Option<Result<Known, Problem>> {
        None
    }
}

/// The value of an expression of a file; `names` are offered where a name is not known.
pub fn evaluate(file: FileId, expr: &Expr, env: &dyn Env, names: &[&str]) -> Result<Known, Diagnostic> {
    let value = known::evaluate(expr, env).map_err(|p| {
        let d = Diagnostic::new(p.code, Place::new(file, p.span), p.message);
        match p.unknown {
            Some(name) => d.did_you_mean(&name, names.iter().copied()),
            None => d,
        }
    })?;
    match value {
        Known::Num(n) if n.is_nan() => Err(Diagnostic::new(
            "not-a-number",
            Place::new(file, expr.span),
            "this is not a number: zero divided by zero, or infinity minus infinity",
        )),
        value => Ok(value),
    }
}

/// The name at a place, where it is compared with something.
fn compared(expr: &Expr, span: Span) -> Option<&str> {
    if let ExprKind::Binary(BinOp::Eq | BinOp::Ne, a, b) = &expr.kind {
        for side in [a, b] {
            match &side.kind {
                ExprKind::Name(name) if side.span == span => return Some(name),
                _ => {}
            }
        }
    }
    children(expr).into_iter().find_map(|part| compared(part, span))
}

impl Names {
    fn place(&self, expr: &Expr) -> Place {
        Place::new(self.file, expr.span)
    }

    /// All of them.
    fn known(&self) -> Vec<&str> {
        let indices = INDICES.iter().take(self.indices.len()).copied();
        self.sizes.keys().map(String::as_str).chain(indices).collect()
    }

    fn evaluate(&self, expr: &Expr) -> Result<Known, Diagnostic> {
        if let Ok(value) = evaluate(self.file, expr, self, &[]) {
            return Ok(value);
        }
        evaluate(self.file, expr, self, &self.known()).map_err(|d| match compared(expr, d.span()) {
            Some(word) if d.code == "unknown-name" => Diagnostic {
                help: vec![format!(
                    "a string in a comparison must be in double quotes, `\"{word}\"`, inside the quotes that YAML may need: `'… == \"{word}\"'`"
                )],
                ..d
            },
            _ => d,
        })
    }

    /// The value of a setting or size; a word that nothing defines is a string.
    pub fn value(&self, expr: &Expr) -> Result<Known, Diagnostic> {
        match &expr.kind {
            ExprKind::Name(name) => Ok(self.name(name).unwrap_or_else(|| Known::Str(name.clone()))),
            ExprKind::List(items) => Ok(Known::List(
                items.iter().map(|i| self.value(i)).collect::<Result<_, _>>()?,
            )),
            _ => self.evaluate(expr),
        }
    }

    /// The value of a setting of a definition; a word that nothing defines is a string, but where a number is expected.
    pub fn setting(&self, expr: &Expr, name: &Ident, of: &Definition, library: &Library) -> Result<Known, Diagnostic> {
        if let ExprKind::Name(word) = &expr.kind
            && self.name(word).is_none()
            && !kinds::has_other_default(of, &name.text, Kind::Number)
            && kinds::of_setting(library, of, &name.text) == Some(Kind::Number)
        {
            let (of, name) = (of.def.name.text.as_str(), name.text.as_str());
            let setting = Setting { of, name };
            return Err(kinds::word_for_number(self.place(expr), word, setting, &self.known()));
        }
        self.value(expr)
    }

    /// The boolean of a condition.
    pub fn condition(&self, expr: &Expr) -> Result<bool, Diagnostic> {
        match self.evaluate(expr)? {
            Known::Bool(b) => Ok(b),
            other => Err(Diagnostic::new(
                "not-a-condition",
                self.place(expr),
                format!("a condition is `true` or `false`, not {}", other.kind()),
            )
            .help("compare it: `i > 0`, `kind == \"full\"`")),
        }
    }

    /// An integer from 0 up to a bound.
    pub fn count(&self, expr: &Expr, most: usize) -> Result<usize, Diagnostic> {
        let value = self.evaluate(expr)?;
        match value.size() {
            Some(n) if n <= most => Ok(n),
            _ => Err(Diagnostic::new(
                "bad-size",
                self.place(expr),
                format!("an integer up to {most} is expected, not {value}"),
            )
            .help(format!(
                "give a number from 0 to {most}, or an expression of sizes that is one"
            ))),
        }
    }

    /// The texts of a template; a range `{0..4}` gives one text for each number.
    pub fn template(&self, template: &Template) -> Result<Vec<String>, Diagnostic> {
        let mut out = vec![String::new()];
        for part in &template.parts {
            let values = match part {
                Part::Text(text) => vec![text.clone()],
                Part::Expr(expr) => vec![self.evaluate(expr)?.to_string()],
                Part::Range(from, to) => {
                    let (from, to) = (self.count(from, MAX_TENSORS)?, self.count(to, MAX_TENSORS)?);
                    (from..to).map(|n| n.to_string()).collect()
                }
                Part::Rows(from, to) => {
                    let place = Place::new(self.file, to.span);
                    let (from, to) = (self.count(from, MAX_ROWS)?, self.count(to, MAX_ROWS)?);
                    if from >= to {
                        let message = format!("rows {from}..{to} are none");
                        let d = Diagnostic::new("bad-template", place, message);
                        return Err(d.help("rows are counted from 0, and the end is exclusive: `rows: 0..d`"));
                    }
                    vec![format!("|rows {from}..{to}")]
                }
            };
            let count = out.len().saturating_mul(values.len());
            if count == 0 || count > MAX_TENSORS {
                let place = Place::new(self.file, template.span);
                let message = format!("this names {count} tensors");
                return Err(Diagnostic::new("bad-template", place, message));
            }
            out = out
                .iter()
                .flat_map(|t| values.iter().map(move |v| format!("{t}{v}")))
                .collect();
        }
        Ok(out)
    }
}
