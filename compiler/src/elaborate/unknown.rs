//! Undefined names: suggestions from the context of their use.

use super::{
    children::children,
    cx::Cx,
    dims::{shown, written},
    val::Val,
};
use crate::diag::{Diagnostic, Placed, nearest};
use seqc_grammar::ast::{BinOp, Def, Expr, ExprKind, Span, Stmt, Target};
use seqc_ir::Dim;
use std::collections::BTreeSet;

/// Common names for the index of a token.
const TIMES: &[&str] = &["t", "time", "step", "token", "now", "pos"];

/// What to write instead of an index that stands for a token.
const NO_TOKENS: &str = "tokens have no index, a body defines the computation at one token";

/// Says that tokens have no index, where an index variable is called like one.
pub(super) fn doubt_token(d: Diagnostic, name: &str) -> Diagnostic {
    match TIMES.contains(&name) {
        true => d.help(format!("{NO_TOKENS}: the value one token ago is `prev(x)`")),
        false => d,
    }
}

impl Cx<'_> {
    /// Reports a name that is not known, once in each definition.
    pub(super) fn unknown_name(&mut self, name: &str, span: Span) -> Val {
        let key = (self.frame().path, name.to_owned());
        if self.quiet > 0 || !self.unknown.insert(key) {
            return Val::Poison;
        }
        let place = self.place(span);
        let d = Diagnostic::new("unknown-name", place, format!("`{name}` is not defined here"));
        if !self.request.library.called(self.file(), name).is_empty() || super::builtin::is_builtin(name) {
            return self.report(d.help(format!("`{name}` is a function: call it, `{name}(…)`")));
        }
        let definition = self.frame().definition.clone();
        let way = way_to(&definition.def, span);
        let known = self.visible();
        let near = nearest(name, known.iter().map(String::as_str)).is_some();
        if let Some(help) = way.as_ref().and_then(|way| self.index_help(name, way)) {
            return self.report(d.help(help));
        }
        let d = match way.filter(|_| !near && self.frame().part.is_some()) {
            Some(way) => {
                let shape = self.shape_by_use(&way);
                d.help(format!(
                    "a parameter is declared: `param {name}{}`",
                    shape.unwrap_or_default()
                ))
            }
            None => d,
        };
        let mut d = d.did_you_mean(name, known.iter().map(String::as_str));
        if d.help.is_empty() && !self.sees_sizes() && self.request.sizes.contains_key(name) {
            d = d.help("a function sees its own arguments and settings only: pass it");
        }
        self.report(d)
    }

    /// What a name inside index brackets was meant for: a token, or a sum.
    fn index_help(&mut self, name: &str, way: &Way<'_>) -> Option<String> {
        let (base, index) = way.steps.windows(2).find_map(|pair| match &pair[0].kind {
            ExprKind::Index { base, indices } => {
                let at = indices.iter().find(|i| i.span == pair[1].span);
                at.map(|index| (&**base, index))
            }
            _ => None,
        })?;
        let base = match &base.kind {
            ExprKind::Name(base) => base.clone(),
            _ => "x".to_owned(),
        };
        let offset = match &index.kind {
            ExprKind::Binary(op @ (BinOp::Add | BinOp::Sub), a, b) => match (&a.kind, &b.kind) {
                (ExprKind::Name(_), ExprKind::Number(k)) => Some(if *op == BinOp::Sub { *k } else { -*k }),
                _ => None,
            },
            ExprKind::Name(_) if TIMES.contains(&name) => Some(0.0),
            _ => None,
        };
        let ago = match offset {
            Some(1.0) => format!("the value one token ago is `prev({base})`"),
            Some(k) if k > 1.0 => format!("the value {k} tokens ago is `delay({base}, {k})`"),
            Some(0.0) => format!("the value at this token is `{base}` itself"),
            Some(_) => "later tokens are not accessible: a layer reads this token and earlier ones".to_owned(),
            None => {
                return Some(format!(
                    "to sum over `{name}`, write `sum({name}: …)`; on the left it makes an axis of the result: `y[…, {name}] = …`"
                ));
            }
        };
        Some(format!("{NO_TOKENS}: {ago}"))
    }

    /// The shape that a parameter would need to stand at the end of a way, as it is declared.
    fn shape_by_use(&mut self, way: &Way<'_>) -> Option<String> {
        let dims = self.wanted(way, way.steps.len() - 1)?;
        Some(match dims.is_empty() {
            true => String::new(),
            false => format!("[{}]", dims.join(", ")),
        })
    }

    /// The shape that fits at step `n` of a way, found from what it is combined with.
    fn wanted(&mut self, way: &Way<'_>, n: usize) -> Option<Vec<String>> {
        let Some(above) = n.checked_sub(1) else {
            return way.stated.clone();
        };
        let (e, parent) = (way.steps[n], way.steps[above]);
        match &parent.kind {
            ExprKind::Index { base, indices } if base.span == e.span => {
                Some(indices.iter().map(|i| self.axis_by_use(i)).collect())
            }
            ExprKind::Binary(BinOp::MatMul, left, right) => {
                let left_side = left.span == e.span;
                let other = self.shape_of_side(if left_side { right } else { left })?;
                let last = other.last()?.clone();
                if !left_side {
                    return Some(vec![last]);
                }
                let mut rows = self.wanted(way, above).unwrap_or_else(|| vec!["…".to_owned()]);
                rows.push(last);
                Some(rows)
            }
            ExprKind::Binary(_, left, right) => {
                let other = if left.span == e.span { right } else { left };
                match self.shape_of_side(other) {
                    Some(dims) if !dims.is_empty() => Some(dims),
                    _ => self.wanted(way, above),
                }
            }
            ExprKind::Unary(..) | ExprKind::If(..) | ExprKind::When(..) => self.wanted(way, above),
            ExprKind::Call { callee, args, .. } => match (args.len(), self.argument_by_use(&callee.text, args, e)) {
                (_, Some(dims)) => Some(dims),
                (1, None) => self.wanted(way, above),
                _ => None,
            },
            _ => None,
        }
    }

    /// The shape of an argument of a function, where the names in its declared shape stand in other arguments too.
    fn argument_by_use(&mut self, callee: &str, args: &[Expr], e: &Expr) -> Option<Vec<String>> {
        let at = args.iter().position(|a| a.span == e.span)?;
        let [definition] = self.request.library.called(self.file(), callee)[..] else {
            return None;
        };
        let streams = definition.def.streams.clone();
        let names = |n: usize| match &streams.get(n)?.ty {
            seqc_grammar::ast::StreamTy::Real(shape) => shape.dims.iter().map(name_of).collect::<Option<Vec<_>>>(),
            _ => None,
        };
        let wanted = names(at)?;
        let mut sizes: Vec<(String, String)> = Vec::new();
        for (n, arg) in args.iter().enumerate().filter(|(n, _)| *n != at) {
            if let (Some(names), Some(dims)) = (names(n), self.shape_of_side(arg)) {
                sizes.extend(names.into_iter().zip(dims));
            }
        }
        let size = |name: &String| sizes.iter().find(|(n, _)| n == name).map(|(_, size)| size.clone());
        wanted.iter().map(size).collect()
    }

    /// The size of an axis by its index.
    fn axis_by_use(&mut self, index: &Expr) -> String {
        let unknown = "…".to_owned();
        let ExprKind::Name(name) = &index.kind else {
            return unknown;
        };
        match self.var(name) {
            Some(_) if self.known_name(name).is_some() => name.clone(),
            Some(var) => {
                let size = self.var_dim(var).size;
                self.name_of_size(size).unwrap_or_else(|| size.to_string())
            }
            None => unknown,
        }
    }

    /// The name of a size in the definition at hand, if just one has this value.
    fn name_of_size(&self, size: usize) -> Option<String> {
        let names: BTreeSet<String> = self.visible().into_iter().collect();
        let mut fitting = names.iter().filter(|name| {
            let known = self.known_name(name).and_then(|(known, _)| known.size());
            known == Some(size) && self.var(name).is_none()
        });
        let found = fitting.next()?;
        fitting.next().is_none().then(|| found.clone())
    }

    /// The shape of an expression that stands beside what is not known.
    fn shape_of_side(&mut self, e: &Expr) -> Option<Vec<String>> {
        self.quiet += 1;
        let val = self.expr(e);
        self.quiet -= 1;
        let t = match val {
            Val::Tensor(t) if !t.unknown => t,
            Val::Complex(z) if !z.re.unknown => z.re,
            Val::Known(_) => return Some(Vec::new()),
            _ => return None,
        };
        Some(self.dims(&t).iter().map(written).collect())
    }

    /// Reports that something is a scalar only because nothing says what shape it is remembered in; `None` where that is not so.
    pub(super) fn shape_is_assumed(&mut self, val: &Val, wanted: Option<&[Dim]>, at: Span) -> Option<Val> {
        let Val::Tensor(t) = val else { return None };
        let (name, place) = self.assumed_state(t)?;
        let d = Diagnostic::new("no-shape", place, format!("nothing says what shape `{name}` has"))
            .says("used as a state here, assumed to be a scalar");
        let (note, shape) = match wanted {
            Some(dims) => (
                format!("{} is expected here", shown(dims)),
                dims.iter().map(written).collect::<Vec<_>>().join(", "),
            ),
            None => (
                "a tensor with at least one axis is expected here".to_owned(),
                "…".to_owned(),
            ),
        };
        let d = d.note(self.place(at), note);
        Some(self.report(d.help(format!("declare it where `{name}` is defined: `{name}: [{shape}] = …`"))))
    }
}

/// The expressions from a statement down to a name, each part of the one before it.
struct Way<'d> {
    steps: Vec<&'d Expr>,
    /// The shape that is stated for the whole statement.
    stated: Option<Vec<String>>,
}

/// The way to the name at a place.
fn way_to(def: &Def, span: Span) -> Option<Way<'_>> {
    let dims = |shape: &seqc_grammar::ast::Shape| shape.dims.iter().map(name_of).collect::<Option<Vec<_>>>();
    def.body.iter().find_map(|stmt| {
        let (value, stated) = match stmt {
            Stmt::Result(value) => (value, def.result.as_ref().and_then(dims)),
            Stmt::Let { target, value } => match target {
                Target::Name { shape: Some(shape), .. } => (value, dims(shape)),
                Target::Indexed { .. } => (value, Some(Vec::new())),
                _ => (value, None),
            },
            Stmt::Dim { value, .. } | Stmt::Trace { value, .. } | Stmt::Clause(value) => (value, None),
            Stmt::Param(_) => return None,
        };
        let mut steps = Vec::new();
        find(value, span, &mut steps).then_some(Way { steps, stated })
    })
}

/// Whether the name at a place stands in an expression; adds the way to it.
fn find<'d>(e: &'d Expr, span: Span, steps: &mut Vec<&'d Expr>) -> bool {
    if e.span.start > span.start || span.end > e.span.end {
        return false;
    }
    steps.push(e);
    if e.span == span && matches!(e.kind, ExprKind::Name(_)) {
        return true;
    }
    let found = children(e).into_iter().any(|part| find(part, span, steps));
    if !found {
        steps.pop();
    }
    found
}

fn name_of(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Number(n) => Some(n.to_string()),
        _ => None,
    }
}
