//! Operations element by element, on tensors, known values and functions of pairs alike.

use super::{
    cx::Cx,
    dims::shown,
    shape::{Shaped, same},
    val::{Operand, Score, Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, Known},
};
use seqc_grammar::ast::Span;
use seqc_ir::{BinaryOp, Dim, Elem, Op, PairExpr, UnaryOp};

impl Cx<'_> {
    /// `a op b`
    pub(super) fn binary(&mut self, op: BinaryOp, a: Operand, b: Operand, span: Span) -> Val {
        match (&a.val, &b.val) {
            (Val::Poison, _) | (_, Val::Poison) => Val::Poison,
            (Val::Complex(_), _) | (_, Val::Complex(_)) => self.complex_binary(op, a, b, span),
            (Val::Known(x), Val::Known(y)) => match known::binary(op, x, y, self.whole || self.whole_quotient(x, y)) {
                Ok(value) => Val::Known(value),
                Err(message) => self.error("wrong-operands", span, format!("`{}` {message}", known::symbol(op))),
            },
            (Val::Score(_), _) | (_, Val::Score(_)) => self.score_binary(op, a, b, span),
            _ => self.tensor_binary(op, a, b, span),
        }
    }

    /// Whether a quotient of known numbers is rounded down: of integers in the definitions and clauses of a cache, where all are.
    pub(super) fn whole_quotient(&self, x: &Known, y: &Known) -> bool {
        let integer = |n: &Known| matches!(n, Known::Num(n) if n.fract() == 0.0);
        self.whole_numbers && self.in_cache() && integer(x) && integer(y)
    }

    /// Reports a side of `&&` or `||` that is a number.
    fn check_truths(&mut self, op: BinaryOp, parts: [&Operand; 2]) -> Option<()> {
        for part in parts {
            let number = match &part.val {
                Val::Known(known) => !matches!(known, Known::Bool(_)),
                Val::Tensor(t) => {
                    let state = matches!(self.graph.op(t.v), Op::Prev(_));
                    self.elem(t) != Elem::Bool && (state || !t.unknown)
                }
                _ => false,
            };
            if number {
                let place = self.place(part.span);
                let d = Diagnostic::new(
                    "wrong-operands",
                    place,
                    format!("`{}` takes two booleans", known::symbol(op)),
                );
                let help = self.truth_help(&part.val);
                self.report(d.says("this is a number").help(help));
                return None;
            }
        }
        Some(())
    }

    fn tensor_binary(&mut self, op: BinaryOp, a: Operand, b: Operand, span: Span) -> Val {
        let logic = matches!(op, BinaryOp::And | BinaryOp::Or);
        if logic && self.check_truths(op, [&a, &b]).is_none() {
            return Val::Poison;
        }
        let Some(mut elem) = self.common(&[&a, &b]) else {
            return Val::Poison;
        };
        let equality = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
        if logic != (elem == Elem::Bool) && !(equality && elem == Elem::Bool) {
            let place = self.place(span);
            let d = Diagnostic::new(
                "wrong-operands",
                place,
                format!("`{}` does not apply here", known::symbol(op)),
            );
            return self.report(
                d.says("takes numbers, not booleans")
                    .help("a number from a condition: `if c then 1 else 0`"),
            );
        }
        match op {
            BinaryOp::Div if !self.whole => elem = Elem::F32,
            BinaryOp::Pow => elem = Elem::F32,
            _ if elem == Elem::Bool && equality => elem = Elem::I64,
            _ => {}
        }
        if op == BinaryOp::Mod && elem == Elem::I64 && matches!(b.val, Val::Known(Known::Num(0.0))) {
            let place = self.place(b.span);
            let d = Diagnostic::new(
                "not-a-number",
                place,
                "this is 0: there is no remainder of a division by it",
            );
            return self.report(d.help("the number after `%` is an integer from 1"));
        }
        self.doubt_quotient(op, &a, &b, span);
        let Some((parts, vars, unknown)) = self.join(&[a.clone(), b.clone()], elem, span) else {
            return Val::Poison;
        };
        let v = self.graph.binary(op, parts[0], parts[1]);
        if elem == Elem::F32 {
            self.remember_quotient(op, [&a.val, &b.val], v, span);
        }
        Val::Tensor(Tensor { v, vars, unknown })
    }

    /// `f(x)`
    pub(super) fn unary(&mut self, op: UnaryOp, x: Operand, span: Span) -> Val {
        match x.val {
            Val::Poison => Val::Poison,
            Val::Known(known) => match known::function(op.name(), std::slice::from_ref(&known)) {
                Some(Ok(value)) => Val::Known(value),
                Some(Err(message)) => self.error("wrong-operands", span, message),
                None => self.error("wrong-operands", span, format!("`{}` does not apply here", op.name())),
            },
            Val::Score(score) => {
                let keeps = matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Floor | UnaryOp::Round);
                let elem = if keeps || op == UnaryOp::Not {
                    score.elem
                } else {
                    Elem::F32
                };
                if (op == UnaryOp::Not) != (score.elem == Elem::Bool) {
                    return self.error("wrong-operands", span, format!("`{}` does not apply here", op.name()));
                }
                Val::Score(Score::new(PairExpr::unary(op, score.expr), elem))
            }
            Val::Tensor(t) => self.tensor_unary(op, t, span),
            Val::Complex(z) => self.complex_unary(op, *z, x.span, span),
            Val::Tuple(_) => {
                self.tensor(&x.val, x.span);
                Val::Poison
            }
        }
    }

    fn tensor_unary(&mut self, op: UnaryOp, t: Tensor, span: Span) -> Val {
        let elem = self.elem(&t);
        let fits = (op == UnaryOp::Not) == (elem == Elem::Bool);
        if !fits {
            let wants = if op == UnaryOp::Not { "a boolean" } else { "numbers" };
            return self.error("wrong-operands", span, format!("`{}` takes {wants}", op.name()));
        }
        let t = match (op, elem) {
            (UnaryOp::Floor | UnaryOp::Round, Elem::I64) => return Val::Tensor(t),
            (UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not, _) => t,
            _ => self.cast(&t, Elem::F32),
        };
        let v = self.graph.unary(op, t.v);
        Val::Tensor(Tensor { v, ..t })
    }

    /// `if c then a else b`, element by element.
    pub(super) fn select(&mut self, c: Operand, a: Operand, b: Operand, span: Span) -> Val {
        if [&c.val, &a.val, &b.val].iter().any(|v| matches!(v, Val::Poison)) {
            return Val::Poison;
        }
        if matches!(a.val, Val::Complex(_)) || matches!(b.val, Val::Complex(_)) {
            let [re, im] = ["re", "im"].map(|part| {
                let a = self.part_of(part, a.clone(), a.span).at(a.span);
                let b = self.part_of(part, b.clone(), b.span).at(b.span);
                self.select(c.clone(), a, b, span)
            });
            return self.pair(re, im, span);
        }
        if [&c.val, &a.val, &b.val].iter().any(|v| matches!(v, Val::Score(_))) {
            let (Some(condition), Some(a), Some(b)) = (self.as_pair(&c), self.as_pair(&a), self.as_pair(&b)) else {
                return Val::Poison;
            };
            if condition.elem != Elem::Bool {
                let place = self.place(c.span);
                let d = Diagnostic::new("not-a-condition", place, "a condition is a boolean").says("this is a number");
                return self.report(d.help("compare it: `x > 0`"));
            }
            let elem = if a.elem == b.elem { a.elem } else { Elem::F32 };
            let expr = PairExpr::select(condition.expr, a.expr, b.expr);
            return Val::Score(Score::new(expr, elem));
        }
        let Some(condition) = self.tensor(&c.val, c.span) else {
            return Val::Poison;
        };
        if self.elem(&condition) != Elem::Bool {
            let d = Diagnostic::new("not-a-condition", self.place(c.span), "a condition is a boolean");
            let help = self.truth_help(&c.val);
            return self.report(d.says("this is a number").help(help));
        }
        let Some(elem) = self.common(&[&a, &b]) else {
            return Val::Poison;
        };
        let Some((vars, plain, unknown)) = self.joined_shape(&[c.clone(), a.clone(), b.clone()], span) else {
            return Val::Poison;
        };
        let branches = [a, b].map(|branch| {
            let t = self.lift(&branch.val, elem, branch.span)?;
            Some(self.spread(&t, &vars, &plain))
        });
        let [Some(a), Some(b)] = branches else {
            return Val::Poison;
        };
        let c = self.spread(&condition, &vars, &plain);
        let v = self.graph.select(c, a, b);
        Val::Tensor(Tensor { v, vars, unknown })
    }

    /// The element type in which values are joined: real unless all are integers or all booleans.
    pub(super) fn common(&mut self, parts: &[&Operand]) -> Option<Elem> {
        let mut elems = Vec::new();
        for part in parts {
            elems.push(match &part.val {
                Val::Known(Known::Bool(_)) => Elem::Bool,
                Val::Known(Known::Num(n)) if n.fract() == 0.0 && n.abs() < 9e15 => Elem::I64,
                Val::Known(Known::Num(_)) => Elem::F32,
                Val::Tensor(t) => self.elem(t),
                other => {
                    let other = other.clone();
                    let t = self.tensor(&other, part.span)?;
                    self.elem(&t)
                }
            });
        }
        let truths = elems.iter().filter(|e| **e == Elem::Bool).count();
        if truths == elems.len() {
            return Some(Elem::Bool);
        }
        if truths > 0 {
            let at = elems.iter().position(|e| *e == Elem::Bool).unwrap_or(0);
            let place = self.place(parts[at].span);
            self.report(
                Diagnostic::new("wrong-operands", place, "a boolean does not mix with numbers")
                    .says("this is a boolean")
                    .help("a number from a condition: `if c then 1 else 0`"),
            );
            return None;
        }
        let tensors = parts
            .iter()
            .zip(&elems)
            .filter(|(p, _)| matches!(p.val, Val::Tensor(_)));
        let some_int = tensors.clone().any(|(_, e)| *e == Elem::I64);
        Some(if some_int && elems.iter().all(|e| *e == Elem::I64) {
            Elem::I64
        } else {
            Elem::F32
        })
    }

    /// The value as a node of this element type.
    pub(super) fn lift(&mut self, val: &Val, elem: Elem, span: Span) -> Option<Tensor> {
        match val {
            Val::Known(known) => self.constant(known, elem, span),
            _ => {
                let t = self.tensor(val, span)?;
                Some(self.cast(&t, elem))
            }
        }
    }

    /// The values repeated over the union of their variables and their common shape.
    fn join(&mut self, parts: &[Operand], elem: Elem, span: Span) -> Option<(Vec<seqc_ir::Value>, Vec<Var>, bool)> {
        let (vars, plain, unknown) = self.joined_shape(parts, span)?;
        let values = parts
            .iter()
            .map(|part| {
                let t = self.lift(&part.val, elem, part.span)?;
                Some(self.spread(&t, &vars, &plain))
            })
            .collect::<Option<Vec<_>>>()?;
        Some((values, vars, unknown))
    }

    /// The union of variables and the common shape of values that are joined element by element.
    pub(super) fn joined_shape(&mut self, parts: &[Operand], span: Span) -> Option<(Vec<Var>, Vec<Dim>, bool)> {
        let mut vars: Vec<Var> = Vec::new();
        let mut plain: Option<(Vec<Dim>, Span)> = None;
        let mut unknown = false;
        for part in parts {
            let Val::Tensor(t) = &part.val else { continue };
            vars.extend(&t.vars);
            unknown |= t.unknown;
            let dims = self.dims(t);
            match &plain {
                _ if dims.is_empty() => {}
                None => plain = Some((dims, part.span)),
                Some((first, first_at)) if !same(first, &dims) => {
                    self.mismatch(span, Shaped::new(*first_at, first), Shaped::new(part.span, &dims));
                    return None;
                }
                Some(_) => {}
            }
        }
        vars.sort_unstable();
        vars.dedup();
        let plain = plain.map(|(dims, _)| dims).unwrap_or_default();
        let domain = self.domain(&vars, &plain);
        let unknown = unknown && plain.is_empty();
        self.check_dims(&domain, span).then_some((vars, plain, unknown))
    }

    /// Two shapes that should be equal, with both places and where their sizes come from.
    fn mismatch(&mut self, span: Span, a: Shaped<'_>, b: Shaped<'_>) {
        let place = self.place(span);
        let mut d = Diagnostic::new(
            "shape-mismatch",
            place,
            format!("shapes {} and {} do not combine", shown(a.dims), shown(b.dims)),
        )
        .note(self.place(a.at), format!("this is {}", shown(a.dims)))
        .note(self.place(b.at), format!("this is {}", shown(b.dims)));
        d = self.dim_origins(d, a.dims);
        d = self.dim_origins(d, b.dims);
        let help = if a.dims.len() == b.dims.len() {
            "whole tensors combine when their shapes are equal; otherwise write indices: `y[i] = a[i] * b[i]`"
        } else {
            "write indices to give the axes: `y[i, j] = a[i, j] * b[j]`"
        };
        self.report(d.help(help));
    }

    /// The value as a function of a (query, key) pair.
    pub(super) fn as_pair(&mut self, x: &Operand) -> Option<Score> {
        match &x.val {
            Val::Score(score) => Some(score.clone()),
            Val::Known(Known::Num(n)) => {
                let whole = n.fract() == 0.0;
                let elem = if whole { Elem::I64 } else { Elem::F32 };
                Some(Score::new(PairExpr::Const(*n), elem))
            }
            Val::Known(Known::Bool(b)) => {
                // There is no constant boolean: positions are never negative.
                let op = if *b { BinaryOp::Ge } else { BinaryOp::Lt };
                let expr = PairExpr::binary(op, PairExpr::QueryPos, PairExpr::Const(0.0));
                Some(Score::new(expr, Elem::Bool))
            }
            Val::Tensor(t) => self.stream_of_pair(&t.clone(), x.span),
            other => {
                let other = other.clone();
                self.tensor(&other, x.span);
                None
            }
        }
    }

    fn score_binary(&mut self, op: BinaryOp, a: Operand, b: Operand, span: Span) -> Val {
        if let Some(folded) = fold(op, &a.val, &b.val) {
            return folded;
        }
        let (Some(x), Some(y)) = (self.as_pair(&a), self.as_pair(&b)) else {
            return Val::Poison;
        };
        let logic = matches!(op, BinaryOp::And | BinaryOp::Or);
        if (x.elem == Elem::Bool) != logic || (y.elem == Elem::Bool) != logic {
            let what = if logic { "booleans" } else { "numbers" };
            return self.error(
                "wrong-operands",
                span,
                format!("`{}` takes two {what}", known::symbol(op)),
            );
        }
        self.doubt_quotient(op, &a, &b, span);
        let ints = x.elem == Elem::I64 && y.elem == Elem::I64;
        let expr = PairExpr::binary(op, x.expr, y.expr);
        let (expr, elem) = match op {
            _ if op.is_predicate() => (expr, Elem::Bool),
            BinaryOp::Div if ints => (PairExpr::unary(UnaryOp::Floor, expr), Elem::I64),
            BinaryOp::Div | BinaryOp::Pow => (expr, Elem::F32),
            _ if ints => (expr, Elem::I64),
            _ => (expr, Elem::F32),
        };
        Val::Score(Score::new(expr, elem))
    }

    /// True for the constant 0.
    pub(super) fn is_zero(&self, val: &Val) -> bool {
        match val {
            Val::Known(Known::Num(n)) => *n == 0.0,
            Val::Known(Known::Bool(b)) => !b,
            Val::Tensor(t) => matches!(self.graph.op(t.v), Op::Const(c) if *c == 0.0),
            _ => false,
        }
    }
}

/// Conditions that are decided: logic with a known side, positions against infinity.
fn fold(op: BinaryOp, a: &Val, b: &Val) -> Option<Val> {
    match (op, a, b) {
        (BinaryOp::And, Val::Known(Known::Bool(t)), x) | (BinaryOp::And, x, Val::Known(Known::Bool(t))) => {
            Some(if *t { x.clone() } else { Val::Known(Known::Bool(false)) })
        }
        (BinaryOp::Or, Val::Known(Known::Bool(t)), x) | (BinaryOp::Or, x, Val::Known(Known::Bool(t))) => {
            Some(if *t { Val::Known(Known::Bool(true)) } else { x.clone() })
        }
        (_, Val::Score(s), Val::Known(Known::Num(n))) if n.is_infinite() && s.elem == Elem::I64 => {
            let value = seqc_ir::eval::apply_binary(op, false, 0.0, *n);
            op.is_predicate().then_some(Val::Known(Known::Bool(value != 0.0)))
        }
        (_, Val::Known(Known::Num(n)), Val::Score(s)) if n.is_infinite() && s.elem == Elem::I64 => {
            let value = seqc_ir::eval::apply_binary(op, false, *n, 0.0);
            op.is_predicate().then_some(Val::Known(Known::Bool(value != 0.0)))
        }
        _ => None,
    }
}
