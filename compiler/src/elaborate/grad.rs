//! `grad(loss, w)`: the derivative of a number by a value, in reverse mode over the nodes of the graph (Linnainmaa 1970).
//!
//! What earlier or later tokens computed is constant, and so are conditions and integers. The rules stand in `derivatives.rs`.

use super::{
    cx::Cx,
    dims::shown,
    val::{Tensor, Val},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, ExprKind, Span};
use seqc_ir::{Elem, Op, Ty, Value};
use std::collections::{BTreeMap, BTreeSet};

impl Cx<'_> {
    /// `grad(loss, w)`, of the shape of `w`.
    pub(super) fn grad(&mut self, loss: &Expr, w: &Expr, span: Span) -> Val {
        let (of, by) = (self.expr(loss), self.expr(w));
        if matches!(of, Val::Complex(_)) || matches!(by, Val::Complex(_)) {
            return self.error("complex-use", span, "`grad` takes a real number and real values");
        }
        let (Some(of), Some(by)) = (self.real(&of, loss.span), self.tensor(&by, w.span)) else {
            return Val::Poison;
        };
        if by.unknown {
            return Val::Tensor(by);
        }
        if self.elem(&by) != Elem::F32 {
            return self.error("wrong-operands", w.span, "a derivative is by real values");
        }
        let dims = self.dims(&of);
        if !dims.is_empty() {
            let place = self.place(loss.span);
            let d = Diagnostic::new("shape-mismatch", place, "the first argument of `grad` is one number");
            let d = d.says(format!("this is {}", shown(&dims)));
            return self.report(d.help("add its entries up: `grad(sum(i: e[i] ** 2), w)`"));
        }
        if of.unknown {
            let ty = self.graph.ty(by.v).clone();
            let zero = self.graph.constant(0.0, ty);
            return Val::Tensor(Tensor { v: zero, ..by });
        }
        if let Some(var) = of.vars.iter().find(|var| !by.vars.contains(var)) {
            let name = self.var_dim(*var).name;
            let place = self.place(span);
            let message = format!("the loss differs with the index `{name}`, and what it is derived by does not");
            let d = Diagnostic::new("no-gradient", place, message);
            return self.report(d.help("add it up over the index, or define the derivative without indices"));
        }
        let name = match &w.kind {
            ExprKind::Name(name) => format!("`{name}`"),
            _ => "this".to_owned(),
        };
        match self.derivative(of.v, by.v) {
            Ok(Some(v)) => Val::Tensor(Tensor { v, ..by }),
            Ok(None) => {
                let place = self.place(w.span);
                let d = Diagnostic::new("no-gradient", place, format!("the loss does not depend on {name}"));
                let d = d.note(self.place(loss.span), "the loss");
                self.report(d.help("give what is derived by a name, and compute the loss from that name: `w = prev(M)`, `grad(sum(i: (w @ k - v)[i] ** 2), w)`"))
            }
            Err(through) => {
                let place = self.place(loss.span);
                let message = format!("the loss depends on {name} through `{through}`, which has no derivative here");
                self.report(Diagnostic::new("no-gradient", place, message))
            }
        }
    }

    /// `stop_gradient(x)`: the same value, which is constant for `grad`.
    pub(super) fn stop_gradient(&mut self, x: &Expr) -> Val {
        let val = self.expr(x);
        self.on_parts(val, x.span, |cx, part| {
            let Some(t) = cx.tensor(&part, x.span) else {
                return Val::Poison;
            };
            let clock = cx.clock(t.v);
            let v = cx.same(t.v);
            cx.pin(v, clock);
            cx.stopped.insert(v);
            Val::Tensor(Tensor { v, ..t })
        })
    }

    /// The derivative of the sum of all entries of `of` by `by`; `None` where that does not depend on it; the name of an operation
    /// that has no derivative.
    fn derivative(&mut self, of: Value, by: Value) -> Result<Option<Value>, &'static str> {
        let path = self.path(of, by);
        if !path.contains(&of) {
            return Ok(None);
        }
        let ty = Ty::new(Elem::F32, self.graph.ty(of).dims.clone());
        let mut slopes = BTreeMap::from([(of, self.graph.constant(1.0, ty))]);
        // Operands have lower numbers than what reads them.
        for v in path.iter().rev().filter(|v| **v != by) {
            let Some(slope) = slopes.get(v).copied() else { continue };
            for (slot, operand) in self.graph.operands(*v).into_iter().enumerate() {
                if !path.contains(&operand) {
                    continue;
                }
                let part = self.slope_of_operand(*v, slot, slope)?;
                let sum = match slopes.get(&operand).copied() {
                    Some(before) => self.graph.sum_of(before, part),
                    None => part,
                };
                slopes.insert(operand, sum);
            }
        }
        Ok(slopes.get(&by).copied())
    }

    /// The real values between `by` and `of` that depend on `by`, both included.
    fn path(&self, of: Value, by: Value) -> BTreeSet<Value> {
        let mut below = BTreeSet::new();
        let mut work = vec![of];
        while let Some(v) = work.pop() {
            if v >= by && below.insert(v) {
                work.extend(self.graph.operands(v));
            }
        }
        let mut path = BTreeSet::new();
        for v in below {
            let depends = || self.graph.operands(v).iter().any(|o| path.contains(o));
            let rounded = matches!(self.graph.op(v), Op::Cast);
            if self.stopped.contains(&v) {
                continue;
            }
            if v == by || (self.graph.ty(v).elem == Elem::F32 || rounded) && depends() {
                path.insert(v);
            }
        }
        path
    }
}
