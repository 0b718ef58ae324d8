//! Options of `attend` and `select`: `where` and `score`, which are functions of query and key, scale, normaliser, causality.

use super::{
    cx::{Cx, Pairs},
    val::{Operand, Score, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, ExprKind, NamedArg, Span};
use seqc_ir::{AttendSpec, BinaryOp, Elem, Normaliser, PairExpr, Value};

/// Options of `attend` and of its stages.
const OPTIONS: &[&str] = &["scale", "where", "score", "normalise", "causal"];

impl Cx<'_> {
    /// The parameters that options give, and the operands that functions of query and key read. A learnt scale multiplies the
    /// queries.
    pub(super) fn options(
        &mut self,
        named: &[NamedArg],
        operands: &mut [Tensor],
        heads: usize,
    ) -> Option<(AttendSpec, Vec<Value>)> {
        let mut spec = AttendSpec::default();
        let clocks = (self.clock(operands[0].v), self.clock(operands[1].v));
        let outer = self.pairs.replace(Pairs {
            heads,
            clocks,
            ..Pairs::default()
        });
        let mut fits = true;
        for option in named {
            fits &= self.option(option, &mut spec, operands).is_some();
        }
        let pairs = std::mem::replace(&mut self.pairs, outer).unwrap_or_default();
        spec.query_streams = pairs.query.len();
        spec.key_streams = pairs.key.len();
        spec.tables = pairs.tables.len();
        fits.then(|| (spec, [pairs.query, pairs.key, pairs.tables].concat()))
    }

    /// Whether a stream that a function of pairs reads exists at the tokens it is read at.
    pub(super) fn pair_clock(&mut self, v: Value, key: bool, span: Span) -> bool {
        let found = self.clock(v);
        let clocks = self.pairs.as_ref().map_or((None, None), |p| p.clocks);
        let Some(found) = found else {
            let own = if key { clocks.1 } else { clocks.0 };
            let apart = own.is_some_and(|own| self.is_memory(own)) && self.is_of_token(v);
            if apart {
                let place = self.place(span);
                self.joined_with_memory(place);
            }
            return !apart;
        };
        let fits = Some(found) == if key { clocks.1 } else { clocks.0 };
        if !fits {
            let place = self.place(span);
            let who = if key { "keys" } else { "queries" };
            let d = Diagnostic::new(
                "clock-mismatch",
                place,
                format!("this stream is on another clock than the {who}"),
            );
            self.report(d.help("`hold(x)` gives a slower stream a value at every token"));
        }
        fits
    }

    fn option(&mut self, option: &NamedArg, spec: &mut AttendSpec, operands: &mut [Tensor]) -> Option<()> {
        let span = option.value.span;
        match option.name.text.as_str() {
            "scale" => match self.expr(&option.value) {
                Val::Known(Known::Num(n)) if n.is_finite() => spec.scale = n,
                Val::Poison => return None,
                other => {
                    // A scale that is learnt multiplies the queries.
                    let q = Val::Tensor(operands[0].clone()).at(span);
                    let Val::Tensor(t) = self.binary(BinaryOp::Mul, q, other.clone().at(span), span) else {
                        return None;
                    };
                    self.still_turned(&operands[0].clone(), &other, &t, span);
                    operands[0] = t;
                }
            },
            "where" => spec.predicate = self.predicate(option)?,
            "score" => spec.score = self.score(option)?,
            "normalise" => spec.normaliser = self.normaliser(&option.value)?,
            "causal" => match self.known(&option.value, "`causal`")? {
                Known::Bool(b) => spec.causal = b,
                _ => {
                    self.error("wrong-operands", span, "`causal` is `true` or `false`");
                    return None;
                }
            },
            other => {
                let place = self.place(option.name.span);
                let d = Diagnostic::new("unknown-setting", place, format!("`attend` has no option `{other}`"));
                self.report(d.did_you_mean(other, OPTIONS.iter().copied()));
                return None;
            }
        }
        Some(())
    }

    /// The value of a function of pairs: its parameters stand for `values`, `head` for the query head.
    fn pair_function(&mut self, option: &NamedArg, values: &[Score]) -> Val {
        if option.params.len() != values.len() {
            let name = &option.name.text;
            let example = if values.len() == 2 { "(i, j)" } else { "(s, i, j)" };
            let place = self.place(option.name.span);
            let d = Diagnostic::new(
                "wrong-arguments",
                place,
                format!("`{name}` takes {} parameters", values.len()),
            );
            return self.report(d.help(format!("write `{name} {example} = …`")));
        }
        let saved = self.frame().lambda.len();
        let head = ("head".to_owned(), Score::new(PairExpr::Head, Elem::I64));
        let params = option.params.iter().map(|p| p.text.clone()).zip(values.iter().cloned());
        self.frame().lambda.extend([head].into_iter().chain(params));
        let val = self.expr(&option.value);
        self.frame().lambda.truncate(saved);
        val
    }

    fn predicate(&mut self, option: &NamedArg) -> Option<Option<PairExpr>> {
        let positions = [
            Score::new(PairExpr::QueryPos, Elem::I64),
            Score::new(PairExpr::KeyPos, Elem::I64),
        ];
        let val = self.pair_function(option, &positions);
        if let Val::Known(Known::Bool(true)) = val {
            return Some(None);
        }
        let score = self.as_pair(&val.at(option.value.span))?;
        if score.elem != Elem::Bool {
            let place = self.place(option.value.span);
            let d = Diagnostic::new("not-a-condition", place, "`where` is a condition").says("this is a number");
            self.report(d.help("compare it: `where (i, j) = i - j < 512`"));
            return None;
        }
        Some(Some(score.expr))
    }

    fn score(&mut self, option: &NamedArg) -> Option<Option<PairExpr>> {
        let values = [
            Score::new(PairExpr::Score, Elem::F32),
            Score::new(PairExpr::QueryPos, Elem::I64),
            Score::new(PairExpr::KeyPos, Elem::I64),
        ];
        let val = self.pair_function(option, &values);
        let score = self.as_pair(&val.at(option.value.span))?;
        if score.elem == Elem::Bool {
            self.error(
                "wrong-operands",
                option.value.span,
                "`score` is a number, not a condition",
            );
            return None;
        }
        Some((score.expr != PairExpr::Score).then_some(score.expr))
    }

    /// `after(x)`: the sum of `x` over the keys that the query sees behind this one.
    pub(super) fn sum_behind(&mut self, x: Operand, span: Span) -> Val {
        if matches!(x.val, Val::Poison) {
            return Val::Poison;
        }
        let is_product = |(_, score): &(String, Score)| score.expr == PairExpr::Score;
        let place = self.place(span);
        if !self.frames.iter().any(|frame| frame.lambda.iter().any(is_product)) {
            let d = Diagnostic::new("score-use", place, "`after` is a sum over the keys of a query");
            return self.report(d.help("use it in `score`: `score (s, i, j) = sigmoid(s) * exp(-after(softplus(s)))`"));
        }
        let Some(of) = self.as_pair(&x) else {
            return Val::Poison;
        };
        if of.elem == Elem::Bool {
            return self.error("wrong-operands", span, "`after` adds up numbers, not conditions");
        }
        if of.expr.uses_sums_behind() {
            let d = Diagnostic::new("score-use", place, "a sum over later keys has another one inside");
            return self.report(d.help("two sums may stand side by side: `s - after(a) - after(b)`"));
        }
        Val::Score(Score::new(PairExpr::After(Box::new(of.expr)), Elem::F32))
    }

    pub(super) fn normaliser(&mut self, e: &Expr) -> Option<Normaliser> {
        let name = match &e.kind {
            ExprKind::Name(name) if self.known_name(name).is_none() => name.clone(),
            _ => match self.known(e, "`normalise`")? {
                Known::Str(name) => name,
                other => other.to_string(),
            },
        };
        match name.as_str() {
            "softmax" => Some(Normaliser::Softmax),
            "sum" => Some(Normaliser::Sum),
            "none" => Some(Normaliser::None),
            other => {
                let place = self.place(e.span);
                let d = Diagnostic::new("unknown-name", place, format!("there is no normaliser `{other}`"));
                self.report(d.did_you_mean(other, ["softmax", "sum", "none"]));
                None
            }
        }
    }
}
