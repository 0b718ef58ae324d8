//! Expressions.

use super::{
    cx::{Branch, Cx, VarInfo},
    limits::MAX_DEPTH,
    val::{Operand, Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, Known},
};
use seqc_grammar::ast::{BinOp, Expr, ExprKind, Ident, Span, UnOp};
use seqc_ir::{BinaryOp, Elem, ReduceOp, Ty, UnaryOp};

/// Reductions over index variables.
const REDUCTIONS: &[&str] = &["sum", "mean", "max", "min", "prod", "any", "all", "argmax", "argmin"];

/// A factor of a product, as a real tensor, and where it is written.
#[derive(Clone, Copy)]
struct Factor<'a> {
    tensor: &'a Tensor,
    span: Span,
}

impl<'a> Factor<'a> {
    fn new(tensor: &'a Tensor, span: Span) -> Factor<'a> {
        Factor { tensor, span }
    }
}

impl Cx<'_> {
    /// What an expression stands for.
    pub(super) fn expr(&mut self, e: &Expr) -> Val {
        if self.depth >= MAX_DEPTH {
            if !self.diagnostics.iter().any(|d| d.code == "too-deep") {
                let place = self.place(e.span);
                self.report(Diagnostic::new("too-deep", place, "this is nested too deeply").help("name parts of it"));
            }
            return Val::Poison;
        }
        self.depth += 1;
        let val = self.expr_here(e);
        self.depth -= 1;
        self.check_clocks(val, e.span)
    }

    /// What an expression stands for, with its place.
    pub(super) fn operand(&mut self, e: &Expr) -> Operand {
        self.expr(e).at(e.span)
    }

    fn expr_here(&mut self, e: &Expr) -> Val {
        match &e.kind {
            ExprKind::Number(n) => Val::Known(Known::Num(*n)),
            ExprKind::Str(s) => Val::Known(Known::Str(s.clone())),
            ExprKind::Bool(b) => Val::Known(Known::Bool(*b)),
            ExprKind::Name(name) => self.name(name, e.span),
            ExprKind::Unary(op, x) => {
                let val = self.expr(x);
                match (op, &val) {
                    (UnOp::Not, Val::Known(k)) | (UnOp::Neg, Val::Known(k)) => match known::unary(*op, k) {
                        Ok(value) => Val::Known(value),
                        Err(message) => self.error("wrong-operands", e.span, message),
                    },
                    (UnOp::Neg, _) => self.unary(UnaryOp::Neg, val.at(x.span), e.span),
                    (UnOp::Not, _) => self.unary(UnaryOp::Not, val.at(x.span), e.span),
                }
            }
            ExprKind::Binary(..) => self.chain(e),
            ExprKind::If(c, a, b) => self.choice(c, a, b, e.span),
            ExprKind::Call { callee, args, named } => self.call(callee, args, named, e.span),
            ExprKind::Reduce { op, vars, body } => self.reduction(op, vars, body, e.span),
            ExprKind::Index { base, indices } => self.index(base, indices, e.span),
            ExprKind::When(x, c) => self.when(x, c),
            ExprKind::List(items) => {
                let items: Option<Vec<Known>> = items.iter().map(|i| self.known(i, "an element of a list")).collect();
                items.map_or(Val::Poison, |items| Val::Known(Known::List(items)))
            }
            ExprKind::Tuple(parts) => {
                let parts: Vec<Val> = parts.iter().map(|part| self.expr(part)).collect();
                match parts.iter().any(|part| matches!(part, Val::Poison)) {
                    true => Val::Poison,
                    false => Val::Tuple(parts),
                }
            }
            ExprKind::Error => Val::Poison,
        }
    }

    /// A chain of infix operators; the left side is traversed in a loop, so that long sums need no deep stack.
    fn chain(&mut self, e: &Expr) -> Val {
        let mark = self.warnings.len();
        let mut rest = Vec::new();
        let mut first = e;
        while let ExprKind::Binary(op, left, right) = &first.kind {
            rest.push((*op, &**right, first.span));
            first = left;
        }
        let mut literal = matches!(first.kind, ExprKind::Number(_));
        let mut acc = self.operand(first);
        while let Some((op, right, span)) = rest.pop() {
            let decided = match (op, &acc.val) {
                (BinOp::And, Val::Known(Known::Bool(false))) | (BinOp::Or, Val::Known(Known::Bool(true))) => true,
                _ => matches!(acc.val, Val::Poison),
            };
            // What stands behind something wrong is still read for its own problems.
            if decided && !matches!(acc.val, Val::Poison) {
                acc.span = span;
                continue;
            }
            let compares = matches!(
                op,
                BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge | BinOp::Eq | BinOp::Ne
            );
            if compares {
                self.compared(mark, &acc.val);
            }
            let mark = self.warnings.len();
            let right = self.operand(right);
            if compares {
                self.compared(mark, &right.val);
            }
            if op == BinOp::Div && std::mem::take(&mut literal) {
                self.doubt_nothing(&acc, &right, span);
            }
            acc = self.infix(op, acc, right, span).at(span);
        }
        acc.val
    }

    fn infix(&mut self, op: BinOp, a: Operand, b: Operand, span: Span) -> Val {
        match known::binary_op(op) {
            Some(op) => self.binary(op, a, b, span),
            None => self.matmul(a, b, span),
        }
    }

    fn choice(&mut self, c: &Expr, a: &Expr, b: &Expr, span: Span) -> Val {
        match self.expr(c) {
            Val::Known(Known::Bool(true)) => self.expr(a),
            Val::Known(Known::Bool(false)) => self.expr(b),
            Val::Known(other) => {
                let place = self.place(c.span);
                self.report(
                    Diagnostic::new(
                        "not-a-condition",
                        place,
                        format!("a condition is a boolean, not {}", other.kind()),
                    )
                    .help("compare it: `x > 0`"),
                )
            }
            condition => {
                let wrong = matches!(condition, Val::Poison) || self.branch == Branch::Wrong;
                let branch = std::mem::replace(&mut self.branch, if wrong { Branch::Wrong } else { Branch::Tokens });
                let a = self.operand(a);
                let b = self.operand(b);
                self.branch = branch;
                self.select(condition.at(c.span), a, b, span)
            }
        }
    }

    /// `W @ x`: the last axis of `W` against the only axis of `x`.
    fn matmul(&mut self, a: Operand, b: Operand, span: Span) -> Val {
        if matches!(a.val, Val::Poison) || matches!(b.val, Val::Poison) {
            return Val::Poison;
        }
        if matches!(a.val, Val::Complex(_)) || matches!(b.val, Val::Complex(_)) {
            return self.complex_matmul(a, b, span);
        }
        let (Some(w), Some(x)) = (self.real(&a.val, a.span), self.real(&b.val, b.span)) else {
            return Val::Poison;
        };
        let (rows, cols) = (self.dims(&w), self.dims(&x));
        if w.unknown {
            return Val::Tensor(w);
        }
        let Some((inner, outer)) = rows.split_last() else {
            return self.matmul_mismatch(Factor::new(&w, a.span), Factor::new(&x, b.span), span);
        };
        if x.unknown {
            let zeros = self.graph.constant(0.0, Ty::new(Elem::F32, outer.to_vec()));
            return Val::Tensor(Tensor::plain(zeros));
        }
        if cols.len() != 1 || cols[0] != *inner {
            return self.matmul_mismatch(Factor::new(&w, a.span), Factor::new(&x, b.span), span);
        }
        let mut vars = [&w.vars[..], &x.vars[..]].concat();
        vars.sort_unstable();
        vars.dedup();
        let domain = self.domain(&vars, &rows);
        if !self.check_dims(&domain, span) {
            return Val::Poison;
        }
        let left = self.spread(&w, &vars, &rows);
        let lead = x.vars.iter().filter_map(|v| vars.iter().position(|u| u == v));
        let map = lead.chain([domain.len() - 1]).map(seqc_ir::IndexExpr::Axis).collect();
        let right = self.view(x.v, domain, map);
        let product = self.graph.binary(BinaryOp::Mul, left, right);
        Val::Tensor(Tensor::over(self.graph.reduce(ReduceOp::Sum, product, 1), vars))
    }

    /// The product of matrix and vector where one of them is complex.
    fn complex_matmul(&mut self, a: Operand, b: Operand, span: Span) -> Val {
        let part = |cx: &mut Self, name: &str, z: &Operand| cx.part_of(name, z.clone(), z.span).at(z.span);
        let [ar, ai] = ["re", "im"].map(|name| part(self, name, &a));
        let [br, bi] = ["re", "im"].map(|name| part(self, name, &b));
        let known = |p: &Operand| matches!(p.val, Val::Known(_));
        let (re, im) = match (known(&ai), known(&bi)) {
            (true, _) => (self.matmul(ar.clone(), br, span), self.matmul(ar, bi, span)),
            (_, true) => (self.matmul(ar, br.clone(), span), self.matmul(ai, br, span)),
            _ => {
                let (rr, ii) = (
                    self.matmul(ar.clone(), br.clone(), span),
                    self.matmul(ai.clone(), bi.clone(), span),
                );
                let (ri, ir) = (self.matmul(ar, bi, span), self.matmul(ai, br, span));
                let re = self.binary(BinaryOp::Sub, rr.at(span), ii.at(span), span);
                (re, self.binary(BinaryOp::Add, ri.at(span), ir.at(span), span))
            }
        };
        self.pair(re, im, span)
    }

    fn matmul_mismatch(&mut self, w: Factor<'_>, x: Factor<'_>, span: Span) -> Val {
        let (rows, cols) = (self.dims(w.tensor), self.dims(x.tensor));
        for (factor, wanted) in [(w, None), (x, rows.last())] {
            let val = Val::Tensor(factor.tensor.clone());
            if let Some(reported) = self.shape_is_assumed(&val, wanted.map(std::slice::from_ref), factor.span) {
                return reported;
            }
        }
        let place = self.place(span);
        let shown = super::dims::shown;
        let mut d = Diagnostic::new(
            "shape-mismatch",
            place,
            "`@` multiplies the last axis of a matrix by a vector of the same size",
        )
        .note(self.place(w.span), format!("this is {}", shown(&rows)))
        .note(self.place(x.span), format!("this is {}", shown(&cols)));
        d = self.dim_origins(d, &rows);
        d = self.dim_origins(d, &cols);
        self.report(d.help("for other products write indices: `y[i] = sum(k: w[i, k] * x[k])`"))
    }

    /// `sum(n: body)` and its like.
    fn reduction(&mut self, op: &Ident, bound: &[(Ident, Option<Expr>)], body: &Expr, span: Span) -> Val {
        if !REDUCTIONS.contains(&op.text.as_str()) {
            let place = self.place(op.span);
            let d = Diagnostic::new("unknown-name", place, format!("there is no reduction `{}`", op.text));
            return self.report(d.did_you_mean(&op.text, REDUCTIONS.iter().copied()));
        }
        if let Some(val) = self.cache_reduction(op, bound, body, span) {
            return val;
        }
        if self.pairs.is_some() {
            return self.pair_reduction(op, bound, body, span);
        }
        bound.iter().for_each(|(name, _)| self.doubt_index(name));
        let Some(vars) = self.reduced_vars(bound, body) else {
            return Val::Poison;
        };
        let count = self.frame().vars.len();
        let names = bound
            .iter()
            .map(|(name, _)| name.text.clone())
            .zip(vars.iter().copied());
        self.frame().vars.extend(names);
        let whole = std::mem::replace(&mut self.whole, false);
        let val = self.expr(body);
        self.whole = whole;
        self.frame().vars.truncate(count);
        match op.text.as_str() {
            "argmax" | "argmin" => self.arg_reduce(&op.text, val.at(body.span), &vars, span),
            "any" | "all" => self.truth_reduce(&op.text, val.at(body.span), &vars, span),
            name => self.reduce(name, val.at(body.span), &vars, span),
        }
    }

    /// Fresh variables for a reduction with their sizes.
    fn reduced_vars(&mut self, bound: &[(Ident, Option<Expr>)], body: &Expr) -> Option<Vec<Var>> {
        let mut vars = Vec::new();
        for (name, size) in bound {
            let info = match size {
                Some(e) => VarInfo {
                    name: name.text.clone(),
                    size: self.size(e)?.size,
                    place: self.place(e.span),
                    inferred: false,
                },
                None => self.var_info(name, body)?,
            };
            vars.push(self.new_var(info));
        }
        Some(vars)
    }

    pub(super) fn reduce(&mut self, name: &str, body: Operand, over: &[Var], span: Span) -> Val {
        if matches!(body.val, Val::Poison) {
            return Val::Poison;
        }
        if matches!(body.val, Val::Complex(_)) && matches!(name, "sum" | "mean") {
            let at = body.span;
            return self.on_parts(body.val, span, |cx, part| cx.reduce(name, part.at(at), over, span));
        }
        let Some(mut t) = self.tensor(&body.val, body.span) else {
            return Val::Poison;
        };
        let dims = self.dims(&t);
        if !dims.is_empty() {
            let place = self.place(body.span);
            return self.report(
                Diagnostic::new("not-indexed", place, "what is reduced must be a number for each index")
                    .says(format!("this is {}", super::dims::shown(&dims)))
                    .help("give it its indices: `sum(i: x[i])`"),
            );
        }
        if self.elem(&t) == Elem::Bool || name == "mean" {
            t = self.cast(&t, Elem::F32);
        }
        let mut vars = [&t.vars[..], over].concat();
        vars.sort_unstable();
        vars.dedup();
        let domain = self.domain(&vars, &[]);
        if !self.check_dims(&domain, span) {
            return Val::Poison;
        }
        // Reduced variables are the youngest: their axes come last.
        let kept: Vec<Var> = vars.iter().copied().filter(|v| !over.contains(v)).collect();
        let all = [&kept[..], over].concat();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        debug_assert_eq!(all, sorted);
        let value = self.spread(&t, &all, &[]);
        let op = match name {
            "max" => ReduceOp::Max,
            "min" => ReduceOp::Min,
            "prod" => ReduceOp::Prod,
            _ => ReduceOp::Sum,
        };
        let mut v = self.graph.reduce(op, value, over.len());
        if name == "mean" {
            let count: usize = over.iter().map(|v| self.var_dim(*v).size).product();
            let ty = self.graph.ty(v).clone();
            let count = self.graph.constant(count as f64, ty);
            v = self.graph.binary(BinaryOp::Div, v, count);
        }
        Val::Tensor(Tensor {
            v,
            vars: kept,
            unknown: false,
        })
    }
}
