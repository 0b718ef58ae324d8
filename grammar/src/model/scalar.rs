//! Expressions and templates inside the scalars of a model file.

use super::{
    keys::PART_KEYS,
    reader::Reader,
    types::{Part, Template},
};
use crate::{
    ast::{Expr, ExprKind, Ident, Span},
    diag::{Diagnostic, FileId},
    parse::parse_expr,
    yaml::{Kind, Node},
};

/// What YAML calls numbers and booleans otherwise than the language does.
const SPELLINGS: &[(&str, ExprKind)] = &[
    ("True", ExprKind::Bool(true)),
    ("TRUE", ExprKind::Bool(true)),
    ("False", ExprKind::Bool(false)),
    ("FALSE", ExprKind::Bool(false)),
    (".inf", ExprKind::Number(f64::INFINITY)),
    ("-.inf", ExprKind::Number(f64::NEG_INFINITY)),
];

impl Reader<'_> {
    /// A value: an expression, or a list of values.
    pub(super) fn value(&mut self, node: &Node) -> Expr {
        match &node.kind {
            Kind::List(items) => Expr {
                kind: ExprKind::List(items.iter().map(|item| self.value(item)).collect()),
                span: node.span,
            },
            Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => self.expr(node),
        }
    }

    /// A mapping of names to values.
    pub(super) fn values(&mut self, node: &Node, wanted: &str) -> Vec<(Ident, Expr)> {
        let entries = self.map(node, wanted);
        let read = entries
            .iter()
            .filter_map(|(key, value)| Some((self.ident(key)?, self.value(value))));
        read.collect()
    }

    /// An expression.
    pub(super) fn expr(&mut self, node: &Node) -> Expr {
        let error = Expr {
            kind: ExprKind::Error,
            span: node.span,
        };
        let Kind::Scalar { text, plain, at } = &node.kind else {
            self.wrong(node, "a value");
            return error;
        };
        if let Some((_, kind)) = SPELLINGS.iter().find(|(spelling, _)| *plain && spelling == text) {
            let kind = kind.clone();
            return Expr { kind, span: node.span };
        }
        let (mut expr, mut diagnostics) = parse_expr(self.file, text, at.unwrap_or(0));
        if at.is_none() {
            expr.map_spans(&mut |_| node.span);
            point_at(&mut diagnostics, node.span);
        }
        self.diagnostics.extend(diagnostics);
        expr
    }

    /// The name of a tensor, or `{tensor: NAME, rows: FROM..TO, transpose: CONDITION}`: rows first, then the exchange of the last two axes. The parts
    /// stand behind the name as checkpoints read them.
    pub(super) fn tensor(&mut self, node: &Node) -> Option<Template> {
        let Kind::Map(entries) = &node.kind else {
            return self.template(node);
        };
        let (mut template, mut rows, mut transpose) = (None, Vec::new(), None);
        for (key, value) in entries {
            match key.text.as_str() {
                "tensor" => template = self.template(value),
                "rows" => rows = self.rows(value),
                "transpose" => transpose = Some(self.transpose(value)),
                _ => self.unknown_key(key, "a tensor", PART_KEYS),
            }
        }
        let Some(mut template) = template else {
            let d = Diagnostic::error("missing-key", "this names no tensor");
            let help = "write `{tensor: NAME, rows: FROM..TO}` or `{tensor: NAME, transpose: true}`";
            self.diagnostics.push(d.label(self.file, node.span, "").help(help));
            return None;
        };
        template.parts.extend(rows);
        template.parts.extend(transpose);
        template.span = node.span;
        Some(template)
    }

    fn rows(&mut self, node: &Node) -> Vec<Part> {
        let Kind::Scalar { text, at, .. } = &node.kind else {
            self.wrong(node, "a range of rows");
            return Vec::new();
        };
        let base = at.map_or(node.span, |at| Span::new(at as usize, at as usize + text.len()));
        let (part, mut diagnostics) = braced(self.file, text, base);
        if at.is_none() {
            point_at(&mut diagnostics, node.span);
        }
        self.diagnostics.extend(diagnostics);
        let Part::Range(mut from, mut to) = part else {
            self.wrong(node, "a range of rows");
            return Vec::new();
        };
        if at.is_none() {
            from.map_spans(&mut |_| node.span);
            to.map_spans(&mut |_| node.span);
        }
        vec![Part::Rows(from, to)]
    }

    /// `|transpose` where the condition holds, else nothing.
    fn transpose(&mut self, node: &Node) -> Part {
        let condition = self.expr(node);
        let span = condition.span;
        let text = |text: &str| {
            Box::new(Expr {
                kind: ExprKind::Str(text.to_owned()),
                span,
            })
        };
        Part::Expr(Expr {
            kind: ExprKind::If(Box::new(condition), text("|transpose"), text("")),
            span,
        })
    }

    /// A text with expressions in braces.
    pub(super) fn template(&mut self, node: &Node) -> Option<Template> {
        let Kind::Scalar { text, at, .. } = &node.kind else {
            self.wrong(node, "the name of a tensor");
            return None;
        };
        let base = at.map_or(node.span, |at| Span::new(at as usize, at as usize + text.len()));
        let (mut template, mut diagnostics) = parse_template(self.file, text, base);
        if at.is_none() {
            point_at(&mut diagnostics, node.span);
            template.map_spans(node.span);
        }
        self.diagnostics.extend(diagnostics);
        template.span = node.span;
        Some(template)
    }
}

/// Makes messages about a text that does not stand letter by letter in its file point at all of it.
fn point_at(diagnostics: &mut [Diagnostic], span: Span) {
    for label in diagnostics.iter_mut().flat_map(|d| &mut d.labels) {
        label.span = span;
    }
}

impl Template {
    fn map_spans(&mut self, span: Span) {
        for part in &mut self.parts {
            match part {
                Part::Text(_) => {}
                Part::Expr(expr) => expr.map_spans(&mut |_| span),
                Part::Range(from, to) | Part::Rows(from, to) => {
                    from.map_spans(&mut |_| span);
                    to.map_spans(&mut |_| span);
                }
            }
        }
    }
}

/// Reads a text with expressions in braces, `layers.{i}.weight`, or ranges, `experts.{0..n}.weight`. The text stands at `base`
/// in its file.
pub fn parse_template(file: FileId, text: &str, base: Span) -> (Template, Vec<Diagnostic>) {
    let mut template = Template {
        parts: Vec::new(),
        span: base,
    };
    let mut diagnostics = Vec::new();
    let place = |from: usize, to: usize| Span::new(base.start as usize + from, base.start as usize + to);
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']) {
        let brace = at + found;
        if brace > at {
            template.parts.push(Part::Text(text[at..brace].to_owned()));
        }
        let close = text[brace..].find('}').filter(|n| *n > 0);
        let Some(close) = close else {
            let message = "this brace is unmatched";
            let d = Diagnostic::error("bad-template", message).label(file, place(brace, brace + 1), "");
            diagnostics.push(d.help("expressions are written in braces: `layers.{i}.weight`"));
            at = brace + 1;
            continue;
        };
        let (part, found) = braced(file, &text[brace + 1..brace + close], place(brace + 1, brace + close));
        template.parts.push(part);
        diagnostics.extend(found);
        at = brace + close + 1;
    }
    if at < text.len() {
        template.parts.push(Part::Text(text[at..].to_owned()));
    }
    (template, diagnostics)
}

/// What stands between two braces.
fn braced(file: FileId, text: &str, span: Span) -> (Part, Vec<Diagnostic>) {
    let Some((from, to)) = text.split_once("..") else {
        let (expr, diagnostics) = parse_expr(file, text, span.start);
        return (Part::Expr(expr), diagnostics);
    };
    let (first, mut diagnostics) = parse_expr(file, from, span.start);
    let (last, more) = parse_expr(file, to, span.start + from.len() as u32 + 2);
    diagnostics.extend(more);
    (Part::Range(first, last), diagnostics)
}
