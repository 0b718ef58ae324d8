//! Shapes of values, and repeating values over more axes.

use super::{
    cx::Cx,
    val::{Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::Place,
};
use seqc_grammar::ast::{Expr, ExprKind, Span};
use seqc_ir::{Dim, Elem, IndexExpr, Op, Ty, Value, joined_views};

/// Largest integer that a constant can be: up to here double precision, which messages and the evaluator use, is exact.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

/// True when two shapes have the same sizes.
pub(super) fn same(a: &[Dim], b: &[Dim]) -> bool {
    a == b
}

/// The shape of an operand, and the expression that has it.
pub(super) struct Shaped<'a> {
    pub(super) at: Span,
    pub(super) dims: &'a [Dim],
}

impl<'a> Shaped<'a> {
    pub(super) fn new(at: Span, dims: &'a [Dim]) -> Shaped<'a> {
        Shaped { at, dims }
    }
}

impl Cx<'_> {
    /// The value's own axes, without those of index variables.
    pub(super) fn dims(&self, t: &Tensor) -> Vec<Dim> {
        self.graph.ty(t.v).dims[t.vars.len()..].to_vec()
    }

    pub(super) fn elem(&self, t: &Tensor) -> Elem {
        self.graph.ty(t.v).elem
    }

    /// Axes of index variables followed by others.
    pub(super) fn domain(&self, vars: &[Var], plain: &[Dim]) -> Vec<Dim> {
        vars.iter()
            .map(|v| self.var_dim(*v))
            .chain(plain.iter().cloned())
            .collect()
    }

    /// A view, composed with the view it looks at unless that one is on a clock of its own.
    pub(super) fn view(&mut self, x: Value, dims: Vec<Dim>, map: Vec<IndexExpr>) -> Value {
        let identity = map.iter().enumerate().all(|(n, e)| *e == IndexExpr::Axis(n));
        if identity && self.graph.ty(x).dims == dims {
            return x;
        }
        if self.is_pinned(x) {
            return self.graph.view(x, dims, map);
        }
        if let Some(c) = self.graph.op(x).as_const() {
            let ty = Ty::new(self.graph.ty(x).elem, dims);
            return self.graph.constant(c, ty);
        }
        if let Op::View(inner) = self.graph.op(x)
            && self.graph.node(x).name.is_empty()
            && let Some(joined) = joined_views(inner, &map)
        {
            let source = self.graph.operands(x)[0];
            return self.graph.view(source, dims, joined);
        }
        self.graph.view(x, dims, map)
    }

    /// The value repeated over exactly these variables and this shape; a scalar fills the shape.
    pub(super) fn spread(&mut self, t: &Tensor, vars: &[Var], plain: &[Dim]) -> Value {
        let rank = self.graph.ty(t.v).rank() - t.vars.len();
        let lead = t.vars.iter().filter_map(|v| vars.iter().position(|w| w == v));
        let rest = (0..rank).map(|n| vars.len() + n);
        let map: Vec<IndexExpr> = lead.chain(rest).map(IndexExpr::Axis).collect();
        let dims = self.domain(vars, plain);
        self.view(t.v, dims, map)
    }

    /// Refuses what is no number.
    pub(super) fn no_nan(&mut self, known: &Known, span: Span) -> Option<()> {
        if !matches!(known, Known::Num(n) if n.is_nan()) {
            return Some(());
        }
        self.error(
            "not-a-number",
            span,
            "this is not a number: zero divided by zero, or infinity minus infinity",
        );
        None
    }

    /// The value of a known number or boolean as a node of an element type.
    pub(super) fn constant(&mut self, known: &Known, elem: Elem, span: Span) -> Option<Tensor> {
        let number = match known {
            Known::Num(n) => *n,
            Known::Bool(b) => f64::from(u8::from(*b)),
            Known::Str(_) | Known::List(_) => {
                self.error(
                    "not-a-tensor",
                    span,
                    format!("{} is not a number: streams consist of numbers", known.kind()),
                );
                return None;
            }
        };
        self.no_nan(known, span)?;
        // Where an integer is wanted, an index or what is made of indices.
        if elem == Elem::I64 && (number.fract() != 0.0 || number.abs() > MAX_INTEGER) {
            let place = self.place(span);
            let message = format!("an index is an integer, not {known}");
            self.report(Diagnostic::new("bad-index", place, message).help(format!(
                "numbers without a fraction up to {MAX_INTEGER:e} are integers; `floor(x)` rounds a number down"
            )));
            return None;
        }
        Some(Tensor::plain(self.graph.constant(number, Ty::scalar(elem))))
    }

    /// The value as a node: known numbers become real constants.
    pub(super) fn tensor(&mut self, val: &Val, span: Span) -> Option<Tensor> {
        match val {
            Val::Tensor(t) => Some(t.clone()),
            Val::Known(known) => {
                let elem = if matches!(known, Known::Bool(_)) {
                    Elem::Bool
                } else {
                    Elem::F32
                };
                self.constant(known, elem, span)
            }
            Val::Score(_) => {
                self.error(
                    "score-use",
                    span,
                    "positions and scores of `attend` are used with arithmetic only",
                );
                None
            }
            Val::Complex(_) => {
                let place = self.place(span);
                let d = Diagnostic::new("complex-use", place, "this is complex, real numbers are expected here");
                self.report(d.help("take its real part `re(z)`, its imaginary part `im(z)` or its magnitude `abs(z)`"));
                None
            }
            Val::Tuple(parts) => {
                let count = parts.len();
                let place = self.place(span);
                self.report(
                    Diagnostic::new("tuple-use", place, format!("this gives {count} values"))
                        .help("name them: `(a, b) = split(…)`"),
                );
                None
            }
            Val::Poison => None,
        }
    }

    /// The value as a node of real numbers.
    pub(super) fn real(&mut self, val: &Val, span: Span) -> Option<Tensor> {
        let t = self.tensor(val, span)?;
        Some(self.cast(&t, Elem::F32))
    }

    /// The value converted to an element type.
    pub(super) fn cast(&mut self, t: &Tensor, elem: Elem) -> Tensor {
        if self.elem(t) == elem {
            return t.clone();
        }
        let v = match self.graph.op(t.v).as_const().filter(|_| elem != Elem::Bool) {
            Some(c) => {
                let ty = Ty::new(elem, self.graph.ty(t.v).dims.clone());
                self.graph.constant(c, ty)
            }
            None => self.graph.cast(elem, t.v),
        };
        Tensor { v, ..t.clone() }
    }

    /// The value of an expression that must be known when the model is built.
    pub(super) fn known(&mut self, e: &Expr, what: &str) -> Option<Known> {
        match self.expr(e) {
            Val::Known(known) => Some(known),
            Val::Poison => None,
            _ => {
                let place = self.place(e.span);
                self.report(
                    Diagnostic::new(
                        "not-known",
                        place,
                        format!("{what} must be known when the model is built"),
                    )
                    .says("depends on a stream or a parameter")
                    .help("use numbers, sizes, settings and `dim`s"),
                );
                None
            }
        }
    }

    /// The size that an expression stands for.
    pub(super) fn size(&mut self, e: &Expr) -> Option<Dim> {
        // Where an index variable hides a size, the size is meant.
        let vars = self.frame().vars.clone();
        let free = vars.iter().filter(|(name, _)| self.known_name(name).is_none());
        self.frame().vars = free.cloned().collect();
        let known = self.known(e, "a size");
        self.frame().vars = vars;
        let known = known?;
        let name = match &e.kind {
            ExprKind::Name(name) => name.clone(),
            _ => String::new(),
        };
        match known.size() {
            Some(size) if size > 0 => Some(Dim::new(name, size)),
            _ => {
                let shown = match known {
                    Known::Num(_) => known.to_string(),
                    _ => known.kind().to_string(),
                };
                let message = match known {
                    Known::Num(n) if n >= 1.0 && n.fract() == 0.0 => format!("{shown} is too large for a size"),
                    _ => format!("a size is an integer from 1, not {shown}"),
                };
                self.bad_size(e, message);
                None
            }
        }
    }

    /// Reports a size that is none: where the name that stands for it was given, if that is in another file.
    pub(super) fn bad_size(&mut self, e: &Expr, message: String) {
        let place = self.place(e.span);
        let given = match &e.kind {
            ExprKind::Name(name) => self.known_name(name).map(|(_, given)| (name, given)),
            _ => None,
        };
        let d = match given {
            Some((name, given)) if given.file != place.file && !self.is_library(place.file) => {
                let d = Diagnostic::new("bad-size", given, message).note(place, format!("`{name}` is a size here"));
                d.help(format!("give `{name}` an integer from 1"))
            }
            _ => {
                let d = self.origins(Diagnostic::new("bad-size", place, message), e);
                d.help("change one of the values that it follows from")
            }
        };
        self.sized = Some(e.clone());
        self.report(d);
        self.sized = None;
    }

    /// Adds where the sizes in an expression come from.
    pub(super) fn origins(&self, mut d: Diagnostic, e: &Expr) -> Diagnostic {
        let mut work = vec![e];
        while let Some(e) = work.pop() {
            if let ExprKind::Name(name) = &e.kind {
                d = self.origin(d, name);
            }
            work.extend(super::children::children(e));
        }
        d
    }

    /// Adds where a size of this name comes from.
    pub(super) fn origin(&self, d: Diagnostic, name: &str) -> Diagnostic {
        let Some((known, place)) = self.known_name(name) else {
            return d;
        };
        if d.labels.iter().any(|l| Place::new(l.file, l.span) == place) {
            return d;
        }
        d.note(place, format!("`{name}` is {known}, from here"))
    }

    /// Adds where the named sizes of a shape come from.
    pub(super) fn dim_origins(&self, mut d: Diagnostic, dims: &[Dim]) -> Diagnostic {
        for dim in dims.iter().filter(|d| !d.name.is_empty()) {
            d = self.origin(d, &dim.name);
        }
        d
    }
}
