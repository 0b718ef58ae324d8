//! Discrete choices: the index of the best entry, the best few, and whether any or all conditions hold.

use super::{
    cx::Cx,
    val::{Operand, Score, Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, Ident, Span};
use seqc_ir::{BinaryOp, Elem, PairExpr};

/// Most entries that `best` finds: each costs a pass over the axis.
const MAX_BEST: usize = 64;

/// Longest reduction inside a function of query and key: it is written out.
const MAX_WRITTEN_OUT: usize = 64;

/// Most terms that all reductions of an attention write out, those inside others counted each time.
const MAX_TERMS: usize = 512;

/// Scores from here down are those of no candidate.
const NONE: f64 = -1e30;

impl Cx<'_> {
    /// `argmax(n: x[n])`: the index of the largest entry; of equal ones the first.
    pub(super) fn arg_reduce(&mut self, name: &str, body: Operand, over: &[Var], span: Span) -> Val {
        let [var] = over else {
            return self.error(
                "wrong-arguments",
                span,
                format!("`{name}` runs over one index variable"),
            );
        };
        let best = if name == "argmax" { "max" } else { "min" };
        let Some(t) = self.real(&body.val, body.span) else {
            return Val::Poison;
        };
        let at = body.span;
        let entry = Val::Tensor(t).at(at);
        let most = self.reduce(best, entry.clone(), over, span).at(span);
        let equal = self.binary(BinaryOp::Eq, entry, most, span).at(span);
        let dim = self.var_dim(*var);
        let none = Val::Known(Known::Num(dim.size as f64 - 1.0));
        let index = Val::Tensor(Tensor::over(self.graph.iota(vec![dim], 0), vec![*var]));
        let index = self.select(equal, index.at(span), none.at(span), span);
        self.reduce("min", index.at(span), over, span)
    }

    /// `any(n: c[n])`, `all(n: c[n])`
    pub(super) fn truth_reduce(&mut self, name: &str, body: Operand, over: &[Var], span: Span) -> Val {
        let Some(t) = self.tensor(&body.val, body.span) else {
            return Val::Poison;
        };
        if self.elem(&t) != Elem::Bool && !t.unknown {
            let place = self.place(body.span);
            let d = Diagnostic::new("not-a-condition", place, format!("`{name}` takes booleans"));
            return self.report(d.says("this is a number").help("compare it: `x > 0`"));
        }
        let number = Val::Tensor(self.cast(&t, Elem::F32));
        let op = if name == "any" { "max" } else { "min" };
        let found = self.reduce(op, number.at(body.span), over, span).at(span);
        let zero = Val::Known(Known::Num(0.0)).at(span);
        self.binary(BinaryOp::Ne, found, zero, span)
    }

    /// `best(x; k)`: the indices of the `k` largest entries of the last axis, largest first, -1 where there are fewer candidates.
    pub(super) fn best(&mut self, args: &[Expr], k: usize, span: Span) -> Val {
        let [x] = args else {
            return self.error("wrong-arguments", span, "`best` takes scores: `best(x; k = 2)`");
        };
        let val = self.expr(x);
        let Some(t) = self.real(&val, x.span) else {
            return Val::Poison;
        };
        if t.unknown {
            return Val::Tensor(t);
        }
        let dims = self.dims(&t);
        let Some(last) = dims.last().cloned() else {
            return self.error("wrong-rank", x.span, "`best` takes a tensor, this is a scalar");
        };
        if k > last.size || k > MAX_BEST {
            let most = last.size.min(MAX_BEST);
            let message = format!("`best` finds up to {most} of {} entries here, not {k}", last.size);
            let help = match most < last.size {
                true => format!(
                    "each of them costs a pass over all entries: give `k` up to {most}; for more, keep the entries from a threshold on, as `x[i] >= low`, \
                     or let an attention choose its keys with `select`"
                ),
                false => format!("give `k` up to {most}, the number of entries"),
            };
            let d = Diagnostic::new("bad-size", self.place(span), message);
            return self.report(d.help(help));
        }
        // Entries are looked at one by one: the axes become variables.
        let vars: Vec<Var> = dims
            .iter()
            .map(|d| {
                let place = self.place(x.span);
                self.new_var(super::cx::VarInfo {
                    name: d.name.clone(),
                    size: d.size,
                    place,
                    inferred: false,
                })
            })
            .collect();
        let all = [&t.vars[..], &vars[..]].concat();
        let (lead, axis) = (&vars[..vars.len() - 1], vars[vars.len() - 1]);
        let mut left = Val::Tensor(Tensor::over(t.v, all));
        let low = Val::Known(Known::Num(2.0 * NONE));
        let number = Val::Tensor(Tensor::over(self.graph.iota(vec![last], 0), vec![axis]));
        let mut found = Vec::new();
        for _ in 0..k {
            let index = self.arg_reduce("argmax", left.clone().at(span), &[axis], span);
            let most = self.reduce("max", left.clone().at(span), &[axis], span);
            let none = Val::Known(Known::Num(NONE)).at(span);
            let some = self.binary(BinaryOp::Gt, most.at(span), none, span).at(span);
            let minus = Val::Known(Known::Num(-1.0)).at(span);
            found.push(self.select(some, index.clone().at(span), minus, span));
            let taken = self.binary(BinaryOp::Eq, number.clone().at(span), index.at(span), span);
            left = self.select(taken.at(span), low.clone().at(span), left.at(span), span);
        }
        let outer = t.vars.clone();
        let parts: Option<Vec<_>> = found
            .iter()
            .map(|val| {
                let Val::Tensor(t) = val else { return None };
                let rows = [&outer[..], lead].concat();
                let one = [seqc_ir::Dim::new("", 1)];
                let v = self.spread(t, &rows, &[]);
                let shape = self.domain(&rows, &one);
                Some(self.graph.reshape(v, shape))
            })
            .collect();
        let Some(parts) = parts else {
            return Val::Poison;
        };
        let rank = outer.len() + lead.len();
        let v = if let [one] = parts[..] {
            one
        } else {
            self.graph.concat(rank, &parts)
        };
        Val::Tensor(Tensor::over(v, outer))
    }

    /// A reduction inside a function of query and key, written out: its variables are numbers there.
    pub(super) fn pair_reduction(
        &mut self,
        op: &Ident,
        bound: &[(Ident, Option<Expr>)],
        body: &Expr,
        span: Span,
    ) -> Val {
        let mut sizes = Vec::new();
        for (name, size) in bound {
            let size = match size {
                Some(e) => self.size(e).map(|d| d.size),
                None => self.var_info(name, body).map(|info| info.size),
            };
            let Some(size) = size else {
                return Val::Poison;
            };
            sizes.push(size);
        }
        if let ("any", [(name, _)], [size]) = (op.text.as_str(), bound, &sizes[..])
            && let Some(val) = self.listed(name, *size, body)
        {
            return val;
        }
        let total = sizes.iter().try_fold(1_usize, |n, s| n.checked_mul(*s));
        let Some(total) = total.filter(|n| *n <= MAX_WRITTEN_OUT) else {
            let message = format!("inside `where` and `score` a reduction has up to {MAX_WRITTEN_OUT} terms");
            return self.error("too-large", span, message);
        };
        let combine = match op.text.as_str() {
            "any" => BinaryOp::Or,
            "all" => BinaryOp::And,
            "sum" | "mean" => BinaryOp::Add,
            "prod" => BinaryOp::Mul,
            "max" => BinaryOp::Max,
            "min" => BinaryOp::Min,
            other => {
                let message = format!("`{other}` is not defined inside `where` and `score`");
                let place = self.place(op.span);
                let d = Diagnostic::new("unknown-name", place, message);
                return self.report(d.help("any, all, sum, mean, prod, max and min are"));
            }
        };
        let mut found: Option<Val> = None;
        for n in 0..total {
            let terms = self.pairs.as_mut().map_or(0, |pairs| {
                pairs.terms += 1;
                pairs.terms
            });
            if terms > MAX_TERMS {
                let message = format!("the reductions of this attention have more than {MAX_TERMS} terms together");
                let place = self.place(span);
                let d = Diagnostic::new("too-large", place, message);
                return self.report(d.help("compute a boolean stream outside of `where`, and use it"));
            }
            let saved = self.frame().lambda.len();
            let mut rest = n;
            for ((name, _), size) in bound.iter().zip(&sizes).rev() {
                let number = PairExpr::Const((rest % size) as f64);
                rest /= size;
                self.frame()
                    .lambda
                    .push((name.text.clone(), Score::new(number, Elem::I64)));
            }
            let term = self.expr(body);
            self.frame().lambda.truncate(saved);
            found = Some(match found {
                None => term,
                Some(before) => self.binary(combine, before.at(span), term.at(body.span), span),
            });
        }
        let found = found.unwrap_or(Val::Poison);
        if op.text != "mean" {
            return found;
        }
        let count = Val::Known(Known::Num(total as f64));
        self.binary(BinaryOp::Div, found.at(span), count.at(span), span)
    }
}
