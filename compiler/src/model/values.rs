//! Expressions inside a model: sizes, settings, conditions, templates.

use super::yaml::{Kind, Node};
use crate::{
    diag::Diagnostic,
    elaborate::Given,
    known::{self, Env, Known, Problem},
    source::Place,
};
use seqc_grammar::ast::{Expr, ExprKind, Span};
use std::collections::HashMap;

/// Names that an expression of a model may use: sizes and the indices of repeats.
#[derive(Clone, Debug, Default)]
pub struct Names {
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

impl Names {
    fn all(&self) -> Vec<&str> {
        let indices = INDICES.iter().take(self.indices.len()).copied();
        self.sizes.keys().map(String::as_str).chain(indices).collect()
    }
}

/// A place inside a scalar of a model, from a span inside its text.
pub fn inside(node: &Node, span: Span) -> Place {
    let quoted = !matches!(&node.kind, Kind::Scalar { plain: true, .. });
    let start = node.place.span.start + u32::from(quoted);
    let end = node.place.span.end.max(start);
    let clip = |n: u32| (start + n).min(end);
    Place::new(
        node.place.file,
        Span {
            start: clip(span.start),
            end: clip(span.end),
        },
    )
}

/// The value of a setting or size: numbers, truth values, lists, expressions over known names, and other words as strings.
pub fn value(node: &Node, env: &dyn Env, names: &[&str]) -> Result<Known, Diagnostic> {
    if let Some(known) = node.known() {
        return Ok(known);
    }
    match &node.kind {
        Kind::Null => Err(Diagnostic::new("wrong-type", node.place, "a value is missing here")),
        Kind::Map(_) => Err(Diagnostic::new("wrong-type", node.place, "a value is wanted, not a mapping")),
        Kind::List(items) => Ok(Known::List(
            items.iter().map(|i| value(i, env, names)).collect::<Result<_, _>>()?,
        )),
        Kind::Scalar { text, .. } => {
            let (expr, problems) = crate::syntax::expr(text);
            if let ExprKind::Name(name) = &expr.kind
                && problems.is_empty()
            {
                return Ok(env.name(name).unwrap_or_else(|| Known::Str(name.clone())));
            }
            evaluate(node, &expr, &problems, env, names)
        }
    }
}

/// The value of a condition or count, where other words are no strings.
pub fn expression(node: &Node, env: &dyn Env, names: &[&str]) -> Result<Known, Diagnostic> {
    if let Some(known) = node.known() {
        return Ok(known);
    }
    let Some(text) = node.text() else {
        return Err(Diagnostic::new(
            "wrong-type",
            node.place,
            format!("an expression is wanted, not {}", node.what()),
        ));
    };
    let (expr, problems) = crate::syntax::expr(text);
    evaluate(node, &expr, &problems, env, names)
}

fn evaluate(
    node: &Node,
    expr: &Expr,
    problems: &[crate::syntax::Problem],
    env: &dyn Env,
    names: &[&str],
) -> Result<Known, Diagnostic> {
    if let Some(problem) = problems.first() {
        let mut d = Diagnostic::new(problem.code, inside(node, problem.span), problem.message.clone());
        d.help = problem.help.clone();
        return Err(d);
    }
    let value = known::evaluate(expr, env).map_err(|p| {
        let d = Diagnostic::new(
            if p.unknown.is_some() { "unknown-name" } else { "wrong-operands" },
            inside(node, p.span),
            p.message,
        );
        match p.unknown {
            Some(name) => d.nearest(&name, names.iter().copied()),
            None => d,
        }
    })?;
    match value {
        Known::Num(n) if n.is_nan() => Err(Diagnostic::new("not-a-number", node.place, "this has no value")),
        value => Ok(value),
    }
}

impl Names {
    /// The value of a setting or size.
    pub fn value(&self, node: &Node) -> Result<Known, Diagnostic> {
        value(node, self, &self.all())
    }

    /// The truth value of a condition.
    pub fn condition(&self, node: &Node) -> Result<bool, Diagnostic> {
        match expression(node, self, &self.all())? {
            Known::Bool(b) => Ok(b),
            other => Err(Diagnostic::new(
                "not-a-condition",
                node.place,
                format!("a condition is `true` or `false`, not {}", other.kind()),
            )),
        }
    }

    /// A whole number from 0 up to a bound.
    pub fn count(&self, node: &Node, most: usize) -> Result<usize, Diagnostic> {
        let value = expression(node, self, &self.all())?;
        match value.size() {
            Some(n) if n <= most => Ok(n),
            _ => Err(Diagnostic::new(
                "bad-size",
                node.place,
                format!("a whole number up to {most} is wanted, not {value}"),
            )),
        }
    }

    /// The texts of a template: braces hold expressions; a range `{0..4}` gives one text for each number.
    pub fn template(&self, node: &Node) -> Result<Vec<String>, Diagnostic> {
        let wrong = |message: String| Diagnostic::new("bad-template", node.place, message);
        let Some(text) = node.text() else {
            return Err(wrong(format!("the name of a tensor is wanted, not {}", node.what())));
        };
        let mut out = vec![String::new()];
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else {
                return Err(wrong("a brace is not closed".to_owned()));
            };
            out.iter_mut().for_each(|t| t.push_str(&rest[..open]));
            let inner = &rest[open + 1..open + close];
            let values = self.brace(inner).map_err(wrong)?;
            if out.len().saturating_mul(values.len()) > 100_000 {
                return Err(wrong("this names more than 100000 tensors".to_owned()));
            }
            out = out
                .iter()
                .flat_map(|t| values.iter().map(move |v| format!("{t}{v}")))
                .collect();
            rest = &rest[open + close + 1..];
        }
        out.iter_mut().for_each(|t| t.push_str(rest));
        Ok(out)
    }

    fn brace(&self, text: &str) -> Result<Vec<String>, String> {
        let number = |text: &str| -> Result<Known, String> {
            let (expr, problems) = crate::syntax::expr(text);
            if let Some(p) = problems.first() {
                return Err(format!("`{text}`: {}", p.message));
            }
            known::evaluate(&expr, self).map_err(|p| format!("`{text}`: {}", p.message))
        };
        let Some((low, high)) = text.split_once("..") else {
            return Ok(vec![number(text)?.to_string()]);
        };
        match (number(low)?.size(), number(high)?.size()) {
            (Some(low), Some(high)) if high.saturating_sub(low) <= 100_000 => {
                Ok((low..high).map(|n| n.to_string()).collect())
            }
            _ => Err(format!("`{text}` is not a range of whole numbers")),
        }
    }
}
