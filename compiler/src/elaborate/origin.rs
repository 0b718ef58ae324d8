//! The origin of the shapes in a message: the chain of definitions and parameters that determine them.

use super::{
    children::children,
    cx::{Binding, Cx},
    dims::shown,
    val::Val,
};
use crate::diag::Diagnostic;
use seqc_grammar::ast::{Def, Expr, ExprKind, Span, Stmt, StreamTy, Target};
use std::collections::VecDeque;

/// Messages about shapes.
const CODES: &[&str] = &["shape-mismatch", "size-mismatch", "wrong-rank", "not-indexed"];

/// Most steps of a chain.
const MAX_STEPS: usize = 5;

impl Cx<'_> {
    /// Adds how the tensors at the places of a message about shapes came to have theirs.
    pub(super) fn chain_of_shapes(&self, mut d: Diagnostic) -> Diagnostic {
        let Some(frame) = self.frames.last() else { return d };
        if !CODES.contains(&d.code) {
            return d;
        }
        let (def, file) = (&frame.definition.def, frame.definition.file);
        let mut next = VecDeque::new();
        for label in d.labels.iter().filter(|l| l.file == file) {
            if let Some(e) = expression(def, label.span) {
                names(e, &mut next);
            }
        }
        let mut seen: Vec<&str> = Vec::new();
        while let Some(name) = next.pop_front() {
            if seen.contains(&name) || seen.len() >= MAX_STEPS {
                continue;
            }
            let Some(bound) = frame.names.get(name) else { continue };
            let (t, how) = match &bound.binding {
                Binding::Param(_, Some(t)) => (t, "declared"),
                Binding::Value(Val::Tensor(t)) => (t, "defined"),
                _ => continue,
            };
            let dims = self.dims(t);
            if t.unknown || dims.is_empty() {
                continue;
            }
            seen.push(name);
            let step = format!("`{name}` is {}, {how} here", shown(&dims));
            d = d.trace(bound.place.file, bound.place.span, step);
            if let Some(value) = value_of(def, name) {
                names(value, &mut next);
            }
        }
        d
    }
}

/// The expression of a definition at exactly this place.
pub(super) fn expression(def: &Def, span: Span) -> Option<&Expr> {
    let streams = def.streams.iter().filter_map(|s| match &s.ty {
        StreamTy::Real(shape) | StreamTy::Int(Some(shape)) | StreamTy::Complex(Some(shape)) => Some(shape),
        _ => None,
    });
    let shapes = streams.chain(&def.result).flat_map(|shape| &shape.dims);
    let defaults = def.settings.iter().filter_map(|s| s.default.as_ref());
    let values = def.body.iter().flat_map(|stmt| match stmt {
        Stmt::Dim { value, .. }
        | Stmt::Let { value, .. }
        | Stmt::Trace { value, .. }
        | Stmt::Result(value)
        | Stmt::Clause(value) => {
            vec![value]
        }
        Stmt::Param(decls) => {
            let shapes = decls.iter().filter_map(|d| d.shape.as_ref());
            shapes.flat_map(|shape| &shape.dims).collect()
        }
    });
    let mut work: Vec<&Expr> = shapes.chain(defaults).chain(values).collect();
    while let Some(e) = work.pop() {
        if e.span == span {
            return Some(e);
        }
        work.extend(children(e));
    }
    None
}

/// The right side of the definition of a name.
fn value_of<'d>(def: &'d Def, name: &str) -> Option<&'d Expr> {
    def.body.iter().find_map(|stmt| match stmt {
        Stmt::Let { target, value } => {
            let defines = match target {
                Target::Name { name: n, .. } | Target::Indexed { name: n, .. } => n.text == name,
                Target::Tuple(names) => names.iter().any(|n| n.text == name),
            };
            defines.then_some(value)
        }
        _ => None,
    })
}

/// Names in an expression, from the left.
fn names<'e>(e: &'e Expr, out: &mut VecDeque<&'e str>) {
    let mut work = vec![e];
    while let Some(e) = work.pop() {
        if let ExprKind::Name(name) = &e.kind {
            out.push_back(name);
        }
        work.extend(children(e).into_iter().rev());
    }
}
