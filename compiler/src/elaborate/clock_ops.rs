//! What layers write about slower clocks: `when`, `merge`, `hold`, `every`, `count`, and the first tick and token.

use super::{
    cx::Cx,
    val::{Operand, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, NamedArg, Span};
use seqc_ir::{BinaryOp, Elem, Op, Ty, UnaryOp, Value};

impl Cx<'_> {
    /// A condition that may be a clock: a boolean for every token.
    fn condition(&mut self, on: &Operand, what: &str) -> Option<Value> {
        let t = match &on.val {
            Val::Tensor(t) if t.unknown => return None,
            Val::Known(_) => {
                let place = self.place(on.span);
                let d = Diagnostic::new("not-a-stream", place, format!("{what} is the same for all tokens"));
                self.report(d.help("a clock is a condition on streams: `x when gate > 0`"));
                return None;
            }
            val => self.tensor(val, on.span)?,
        };
        let place = self.place(on.span);
        if self.elem(&t) != Elem::Bool || !self.dims(&t).is_empty() || !t.vars.is_empty() {
            let d = Diagnostic::new("not-a-condition", place, format!("{what} is one boolean per token"));
            let help = if self.elem(&t) == Elem::Bool {
                "name one entry: `c[0]`"
            } else {
                self.truth_help(&on.val)
            };
            self.report(d.help(help));
            return None;
        }
        if self.clock(t.v).is_some() {
            let d = Diagnostic::new("clock-mismatch", place, "a clock is a condition on every token");
            self.report(d.help("this one is on a slower clock itself: write `x when a && b`, or `hold` it"));
            return None;
        }
        Some(t.v)
    }

    /// `x when c`
    pub(super) fn when(&mut self, x: &Expr, c: &Expr) -> Val {
        let (x, c) = (self.operand(x), self.operand(c));
        match (&x.val, &c.val) {
            (Val::Poison, _) | (_, Val::Poison) => return Val::Poison,
            (_, Val::Known(Known::Bool(true))) => return x.val,
            _ => {}
        }
        let Some(clock) = self.condition(&c, "the clock after `when`") else {
            return Val::Poison;
        };
        match x.val {
            Val::Tuple(parts) => Val::Tuple(
                parts
                    .into_iter()
                    .map(|part| self.sampled(part, clock, x.span))
                    .collect(),
            ),
            val => self.sampled(val, clock, x.span),
        }
    }

    /// A value at the ticks of a clock.
    fn sampled(&mut self, val: Val, clock: Value, at: Span) -> Val {
        self.on_parts(val, at, |cx, part| {
            let Some(t) = cx.tensor(&part, at) else {
                return Val::Poison;
            };
            match cx.clock(t.v) {
                Some(before) if before != clock => {
                    let place = cx.place(at);
                    let d = Diagnostic::new("clock-mismatch", place, "this is on another clock already");
                    cx.report(d.help("clocks do not nest: write one condition, `x when a && b`"))
                }
                Some(_) => Val::Tensor(t),
                None => {
                    let v = cx.same(t.v);
                    cx.pin(v, Some(clock));
                    Val::Tensor(Tensor { v, ..t })
                }
            }
        })
    }

    /// `merge(c, a, b)`: `a` where its clock ticks, `b` at the other tokens.
    pub(super) fn merge(&mut self, args: &[Expr], span: Span) -> Val {
        let [c, a, b] = args else {
            return self.error("wrong-arguments", span, "`merge` takes a clock and two streams");
        };
        let [c, a, b] = [c, a, b].map(|e| self.operand(e));
        if [&c.val, &a.val, &b.val].iter().any(|v| matches!(v, Val::Poison)) {
            return Val::Poison;
        }
        let Some(clock) = self.condition(&c, "the clock of `merge`") else {
            return Val::Poison;
        };
        let not = |cx: &Self, a: Value, b: Value| {
            matches!(cx.graph.op(a), Op::Unary(UnaryOp::Not)) && cx.graph.operands(a) == [b]
        };
        let other = |cx: &Self, found: Value| not(cx, found, clock) || not(cx, clock, found);
        for (n, part) in [&a, &b].into_iter().enumerate() {
            let fits = match self.clock_of(&part.val) {
                None => true,
                Some(found) => (n == 0 && found == clock) || (n == 1 && other(self, found)),
            };
            if !fits {
                let place = self.place(part.span);
                let d = Diagnostic::new(
                    "clock-mismatch",
                    place,
                    "this is on another clock than `merge` is about",
                );
                let d = d.note(self.place(c.span), "the clock");
                return self.report(d.help("name the condition once: `on = …`, `x when on`, `merge(on, y, z)`"));
            }
        }
        if !matches!(a.val, Val::Complex(_)) && !matches!(b.val, Val::Complex(_)) {
            return self.chosen(c, a, b, span);
        }
        let [re, im] = ["re", "im"].map(|part| {
            let [a, b] = [&a, &b].map(|z| self.part_of(part, z.clone(), z.span).at(z.span));
            self.chosen(c.clone(), a, b, span)
        });
        self.pair(re, im, span)
    }

    /// `a` or `b`, real streams of two clocks: together they exist at every token.
    fn chosen(&mut self, c: Operand, a: Operand, b: Operand, span: Span) -> Val {
        let val = self.select(c, a, b, span);
        if let Val::Tensor(t) = &val {
            self.pin(t.v, None);
        }
        val
    }

    /// `hold(x; init = …)`: the last value of a stream on a slower clock, at every token.
    pub(super) fn hold(&mut self, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let [x] = args else {
            return self.error("wrong-arguments", span, "`hold` takes a stream on a slower clock");
        };
        let mut init = Val::Known(Known::Num(0.0)).at(span);
        for option in named {
            if option.name.text != "init" {
                let place = self.place(option.name.span);
                let message = format!("`hold` has no option `{}`", option.name.text);
                let d = Diagnostic::new("unknown-setting", place, message);
                return self.report(d.did_you_mean(&option.name.text, ["init"]));
            }
            init = self.operand(&option.value);
        }
        let val = self.expr(x);
        if matches!(val, Val::Poison) || matches!(init.val, Val::Poison) {
            return Val::Poison;
        }
        let unknown = matches!(&val, Val::Tensor(t) if t.unknown);
        if unknown {
            return val;
        }
        let Some(clock) = self.clock_of(&val) else {
            if self.learnt.passes == 0 && !self.states.is_empty() {
                // This pass finds the clocks of recurrences: whether this is on one is known in the next.
                self.found_kind = true;
                return val;
            }
            let place = self.place(x.span);
            let d = Diagnostic::new("clock-mismatch", place, "this has a value at every token already");
            return self.report(d.help("`hold` takes a stream on a slower clock: `hold(x when c)`"));
        };
        if self.is_memory(clock) {
            let place = self.place(x.span);
            return self.not_of_tokens(place, "what `hold` gives");
        }
        match val {
            Val::Complex(z) => {
                let [re, im] = ["re", "im"].map(|part| self.part_of(part, init.clone(), init.span).at(init.span));
                let re = self.lasting(Val::Tensor(z.re), clock, re, span);
                let im = self.lasting(Val::Tensor(z.im), clock, im, span);
                self.pair(re, im, span)
            }
            real if matches!(init.val, Val::Complex(_)) => {
                self.tensor(&init.val, init.span);
                real
            }
            real => self.lasting(real, clock, init, span),
        }
    }

    fn lasting(&mut self, val: Val, clock: Value, init: Operand, span: Span) -> Val {
        let Some(t) = self.tensor(&val, span) else {
            return Val::Poison;
        };
        let elem = self.elem(&t);
        let real = self.cast(&t, Elem::F32);
        let (id, before) = self.memory(&real);
        let mut kept = Val::Tensor(Tensor::over(before, t.vars.clone())).at(span);
        if !self.is_zero(&init.val) {
            let first = self.first_token();
            kept = self.select(first.at(span), init, kept, span).at(span);
        }
        let now = Val::Tensor(real).at(span);
        let clock = Val::Tensor(Tensor::plain(clock)).at(span);
        let Val::Tensor(next) = self.select(clock, now, kept, span) else {
            return Val::Poison;
        };
        let next = Tensor {
            v: self.pin(next.v, None),
            ..next
        };
        self.graph.set_next(id, next.v);
        let back = self.as_it_was(&next, elem);
        Val::Tensor(back)
    }

    /// `every(s)`: the last token of each segment of `s` tokens.
    pub(super) fn every(&mut self, args: &[Expr], span: Span) -> Val {
        let [size] = args else {
            return self.error(
                "wrong-arguments",
                span,
                "`every` takes the number of tokens of a segment",
            );
        };
        let Some(size) = self.size(size).map(|d| d.size) else {
            return Val::Poison;
        };
        Val::Tensor(Tensor::plain(self.every_segment(size)))
    }

    /// `count(c)`: at how many tokens up to this one the condition held.
    pub(super) fn count(&mut self, args: &[Expr], span: Span) -> Val {
        let [c] = args else {
            return self.error("wrong-arguments", span, "`count` takes a condition");
        };
        let condition = self.operand(c);
        if matches!(condition.val, Val::Poison) {
            return Val::Poison;
        }
        let Some(v) = self.condition(&condition, "what is counted") else {
            return Val::Poison;
        };
        let one = self.cast(&Tensor::plain(v), Elem::F32);
        let (id, before) = self.memory(&one);
        let next = self.graph.binary(BinaryOp::Add, before, one.v);
        self.graph.set_next(id, next);
        Val::Tensor(self.cast(&Tensor::plain(next), Elem::I64))
    }

    /// True at the first token of a sequence.
    pub(super) fn first_token(&mut self) -> Val {
        let position = self.graph.position();
        let zero = self.graph.constant(0.0, Ty::scalar(Elem::I64));
        Val::Tensor(Tensor::plain(self.graph.binary(BinaryOp::Eq, position, zero)))
    }
}
