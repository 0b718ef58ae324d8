//! `attend`: queries, keys, values, and functions of (query, key) pairs.

use super::{
    cx::{Cx, Pairs},
    val::{Score, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, ExprKind, NamedArg, Span};
use seqc_ir::{AttendSpec, BinaryOp, Elem, Normaliser, ScoreExpr, Value};

/// Where a function of pairs reads a stream: at the key or at the query, all heads alike or each its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairAt {
    pub(super) key: bool,
    pub(super) head: bool,
}

/// Options of `attend`.
const OPTIONS: &[&str] = &["scale", "where", "score", "normalise", "causal"];

impl Cx<'_> {
    /// `attend(q, k, v; …)`
    pub(super) fn attend(&mut self, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let [q, k, v] = args else {
            return self.error("wrong-arguments", span, "`attend` takes queries, keys and values");
        };
        let operands: Vec<Option<Tensor>> = [q, k, v]
            .iter()
            .map(|e| {
                let val = self.expr(e);
                self.real(&val, e.span)
            })
            .collect();
        let Some(mut operands) = operands.into_iter().collect::<Option<Vec<Tensor>>>() else {
            return Val::Poison;
        };
        if operands.iter().any(|t| t.unknown) {
            return Val::Tensor(Tensor {
                unknown: true,
                ..Tensor::plain(self.graph.scalar(0.0))
            });
        }
        let Some(heads) = self.check_heads(&operands, [q.span, k.span, v.span], span) else {
            return Val::Poison;
        };
        let Some((spec, streams)) = self.options(named, &mut operands, heads) else {
            return Val::Poison;
        };
        let operands: Vec<Value> = operands.iter().map(|t| t.v).chain(streams).collect();
        Val::Tensor(Tensor::plain(self.graph.attend(spec, &operands)))
    }

    /// Number of query heads, if the shapes fit together.
    fn check_heads(&mut self, operands: &[Tensor], spans: [Span; 3], span: Span) -> Option<usize> {
        let dims: Vec<_> = operands.iter().map(|t| self.dims(t)).collect();
        let problem = if operands.iter().any(|t| !t.vars.is_empty()) {
            Some("`attend` takes whole tensors, not entries".to_owned())
        } else if dims.iter().any(|d| d.len() != 2) {
            Some("queries, keys and values have two axes: heads and entries".to_owned())
        } else if dims[1][0] != dims[2][0] {
            Some(format!(
                "there are {} key heads and {} value heads",
                dims[1][0].size, dims[2][0].size
            ))
        } else if !dims[0][0].size.is_multiple_of(dims[1][0].size) {
            Some(format!(
                "{} query heads are not a multiple of {} key heads",
                dims[0][0].size, dims[1][0].size
            ))
        } else if dims[0][1] != dims[1][1] {
            Some(format!(
                "queries have {} entries, keys {}",
                dims[0][1].size, dims[1][1].size
            ))
        } else {
            None
        };
        let Some(message) = problem else {
            return Some(dims[0][0].size);
        };
        let place = self.place(span);
        let mut d = Diagnostic::new("shape-mismatch", place, message);
        for ((what, at), dims) in ["queries", "keys", "values"].iter().zip(spans).zip(&dims) {
            d = d.note(self.place(at), format!("{what} are {}", super::shape::shown(dims)));
        }
        self.report(d.help("`q: [heads, e]`, `k: [kv_heads, e]`, `v: [kv_heads, f]`"));
        None
    }

    fn options(
        &mut self,
        named: &[NamedArg],
        operands: &mut [Tensor],
        heads: usize,
    ) -> Option<(AttendSpec, Vec<Value>)> {
        let mut spec = AttendSpec::default();
        let outer = self.pairs.replace(Pairs {
            heads,
            ..Pairs::default()
        });
        let mut fits = true;
        for option in named {
            fits &= self.option(option, &mut spec, operands).is_some();
        }
        let pairs = std::mem::replace(&mut self.pairs, outer).unwrap_or_default();
        spec.query_streams = pairs.query.len();
        spec.key_streams = pairs.key.len();
        fits.then(|| (spec, [pairs.query, pairs.key].concat()))
    }

    fn option(&mut self, option: &NamedArg, spec: &mut AttendSpec, operands: &mut [Tensor]) -> Option<()> {
        let span = option.value.span;
        match option.name.text.as_str() {
            "scale" => match self.expr(&option.value) {
                Val::Known(Known::Num(n)) if n.is_finite() => spec.scale = n,
                Val::Poison => return None,
                other => {
                    // A scale that is learnt multiplies the queries.
                    let q = (Val::Tensor(operands[0].clone()), span);
                    let Val::Tensor(t) = self.binary(BinaryOp::Mul, q, (other, span), span) else {
                        return None;
                    };
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
        let head = ("head".to_owned(), Score::new(ScoreExpr::Head, Elem::I64));
        let params = option.params.iter().map(|p| p.text.clone()).zip(values.iter().cloned());
        self.frame().lambda.extend([head].into_iter().chain(params));
        let val = self.expr(&option.value);
        self.frame().lambda.truncate(saved);
        val
    }

    fn predicate(&mut self, option: &NamedArg) -> Option<Option<ScoreExpr>> {
        let positions = [
            Score::new(ScoreExpr::QueryPos, Elem::I64),
            Score::new(ScoreExpr::KeyPos, Elem::I64),
        ];
        let val = self.pair_function(option, &positions);
        if let Val::Known(Known::Bool(true)) = val {
            return Some(None);
        }
        let score = self.as_pair(&(val, option.value.span))?;
        if score.elem != Elem::Bool {
            let place = self.place(option.value.span);
            let d = Diagnostic::new("not-a-condition", place, "`where` is a condition").says("this is a number");
            self.report(d.help("compare it: `where (i, j) = i - j < 512`"));
            return None;
        }
        Some(Some(score.expr))
    }

    fn score(&mut self, option: &NamedArg) -> Option<Option<ScoreExpr>> {
        let values = [
            Score::new(ScoreExpr::Score, Elem::F32),
            Score::new(ScoreExpr::QueryPos, Elem::I64),
            Score::new(ScoreExpr::KeyPos, Elem::I64),
        ];
        let val = self.pair_function(option, &values);
        let score = self.as_pair(&(val, option.value.span))?;
        if score.elem == Elem::Bool {
            self.error(
                "wrong-operands",
                option.value.span,
                "`score` is a number, not a condition",
            );
            return None;
        }
        Some((score.expr != ScoreExpr::Score).then_some(score.expr))
    }

    fn normaliser(&mut self, e: &Expr) -> Option<Normaliser> {
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

    /// A stream read at the query or at the key, a scalar or one value per head.
    pub(super) fn pair_stream(&mut self, t: &Tensor, at: PairAt, span: Span) -> Val {
        let dims = self.dims(t);
        let heads = self.pairs.as_ref().map_or(0, |p| p.heads);
        let fits = if at.head {
            dims.len() == 1 && dims[0].size == heads
        } else {
            dims.is_empty()
        };
        if !fits || !t.vars.is_empty() {
            let place = self.place(span);
            let wants = if at.head {
                format!("a vector over the {heads} heads")
            } else {
                "a scalar stream".to_owned()
            };
            let d = Diagnostic::new("wrong-rank", place, format!("this must be {wants}"));
            let d = d.says(format!("this is {}", super::shape::shown(&dims)));
            return self.report(if at.head {
                d
            } else {
                d.help("name one entry above, `g = u[0]`; a vector over heads is read as `g[head]` at the query, `g[j][head]` at the key")
            });
        }
        let truth = self.elem(t) == Elem::Bool;
        let t = if truth { self.cast(t, Elem::I64) } else { t.clone() };
        let elem = self.elem(&t);
        // What is the same for all tokens needs no place in the cache.
        let key = at.key && !self.is_load(t.v);
        let Some(pairs) = &mut self.pairs else {
            return Val::Poison;
        };
        let streams = if key { &mut pairs.key } else { &mut pairs.query };
        let n = streams.iter().position(|v| *v == t.v).unwrap_or_else(|| {
            streams.push(t.v);
            streams.len() - 1
        });
        let expr = if key {
            ScoreExpr::KeyStream(n)
        } else {
            ScoreExpr::QueryStream(n)
        };
        if !truth {
            return Val::Score(Score::new(expr, elem));
        }
        let zero = Box::new(ScoreExpr::Const(0.0));
        Val::Score(Score::new(
            ScoreExpr::Binary(BinaryOp::Ne, Box::new(expr), zero),
            Elem::Bool,
        ))
    }

    /// A tensor used without an index: a scalar that is the same for all tokens.
    pub(super) fn stream_of_pair(&mut self, t: &Tensor, span: Span) -> Option<Score> {
        if self.dims(t).is_empty() && t.vars.is_empty() && self.is_load(t.v) {
            return match self.pair_stream(
                t,
                PairAt {
                    key: false,
                    head: false,
                },
                span,
            ) {
                Val::Score(score) => Some(score),
                _ => None,
            };
        }
        let place = self.place(span);
        let d = Diagnostic::new("not-indexed", place, "a stream is read at the query or at the key here");
        self.report(d.help("write `g[i]` (query), `g[j]` (key), or `w[head]` for a value per head"));
        None
    }
}
