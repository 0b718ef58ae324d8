//! `attend` and `select`: queries, keys and values, their heads and their clocks.

use super::{
    cx::Cx,
    policy::Attention,
    val::{Operand, Tensor, Val},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, ExprKind, NamedArg, Span};
use seqc_ir::{AttendSpec, BinaryOp, Clock, Dim, Elem, IndexExpr, Normaliser, PairExpr, Ty, UnaryOp, Value};

/// Options of `select`.
const SELECT: &[&str] = &["top", "together", "scale", "where", "score", "normalise", "causal"];

/// Most keys that `select` finds.
const MAX_TOP: usize = 1 << 16;

/// Queries, keys and values with their places, and the options of an attention.
pub(super) struct Keys<'a> {
    pub(super) operands: Vec<Operand>,
    pub(super) named: &'a [NamedArg],
    /// The logarithm of the sum of exponentials is one more column.
    pub(super) log_sum: bool,
    /// Find keys instead of a weighted sum.
    pub(super) choice: Option<Choice>,
    pub(super) span: Span,
}

/// How `select` chooses.
#[derive(Clone)]
pub(super) struct Choice {
    /// So many keys.
    top: usize,
    /// So many neighbouring heads of queries together.
    together: usize,
    /// By weights, of whose sums these are the logarithms, for each head.
    weights: Option<Tensor>,
}

impl Cx<'_> {
    /// `attend(q, k, v; …)`, `attend(stage(q, k, v; …), stage(s, v), …)`
    pub(super) fn attend(&mut self, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        if args.iter().any(|e| stage_of(e).is_some()) {
            return self.staged(args, named);
        }
        let [_, _, _] = args else {
            return self.error("wrong-arguments", span, "`attend` takes queries, keys and values");
        };
        let operands = args.iter().map(|e| self.operand(e)).collect();
        let keys = Keys {
            operands,
            named,
            log_sum: false,
            choice: None,
            span,
        };
        self.keys(keys).map_or(Val::Poison, Val::Tensor)
    }

    /// `select(q, k; top = n, …)`: positions and scores of the best keys of each query head.
    pub(super) fn select_keys(&mut self, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let [_, _] = args else {
            return self.error(
                "wrong-arguments",
                span,
                "`select` takes queries and keys: `select(q, k; top = 4)`",
            );
        };
        let (mut top, mut together, mut weights, mut rest) = (1, 1, false, Vec::new());
        for option in named {
            match option.name.text.as_str() {
                "top" | "together" => {
                    let Some(n) = self.size(&option.value).map(|d| d.size) else {
                        return Val::Poison;
                    };
                    if option.name.text == "together" {
                        together = n;
                        continue;
                    }
                    if n > MAX_TOP {
                        let message = format!("`select` finds up to {MAX_TOP} keys, not {n}");
                        return self.error("bad-size", option.value.span, message);
                    }
                    top = n;
                }
                "normalise" => match self.normaliser(&option.value) {
                    Some(Normaliser::Softmax) => weights = true,
                    Some(Normaliser::None) => weights = false,
                    Some(Normaliser::Sum | Normaliser::Top(_)) => {
                        let place = self.place(option.value.span);
                        let message = "`select` chooses by scores, or by their softmax";
                        let d = Diagnostic::new("wrong-operands", place, message);
                        return self
                            .report(d.help("`normalise = softmax`; without it keys are compared by their scores"));
                    }
                    None => return Val::Poison,
                },
                name if SELECT.contains(&name) => rest.push(option.clone()),
                name => {
                    let place = self.place(option.name.span);
                    let d = Diagnostic::new("unknown-setting", place, format!("`select` has no option `{name}`"));
                    return self.report(d.did_you_mean(name, SELECT.iter().copied()));
                }
            }
        }
        let operands: Vec<Operand> = args.iter().map(|e| self.operand(e)).collect();
        let keys = Keys {
            operands,
            named: &rest,
            log_sum: false,
            choice: None,
            span,
        };
        let weights = match weights {
            true => match self.logarithms_of_sums(&keys) {
                Some(sums) => Some(sums),
                None => return Val::Poison,
            },
            false => None,
        };
        let keys = Keys {
            choice: Some(Choice { top, together, weights }),
            ..keys
        };
        let Some(found) = self.keys(keys) else {
            return Val::Poison;
        };
        if found.unknown {
            return Val::Tuple(vec![Val::Tensor(found.clone()), Val::Tensor(found)]);
        }
        let dims = self.dims(&found);
        let shape = vec![dims[0].clone(), dims[2].clone()];
        let [scores, places] = [0, 1].map(|n| {
            let map = vec![IndexExpr::Axis(0), IndexExpr::Const(n), IndexExpr::Axis(1)];
            Tensor::plain(self.view(found.v, shape.clone(), map))
        });
        let places = self.cast(&places, Elem::I64);
        Val::Tuple(vec![Val::Tensor(places), Val::Tensor(scores)])
    }

    /// The logarithm of the sum of exponentials of each head's scores: an attention to nothing.
    fn logarithms_of_sums(&mut self, keys: &Keys<'_>) -> Option<Tensor> {
        let mut operands = keys.operands.clone();
        let of_keys = self.real(&operands[1].val, operands[1].span)?;
        let mut dims = self.dims(&of_keys);
        if !of_keys.unknown && of_keys.vars.is_empty() && dims.len() == 2 {
            dims[1] = Dim::new("", 1);
            let nothing = self.graph.constant(0.0, Ty::new(Elem::F32, dims));
            let clock = self.clock(of_keys.v);
            let nothing = Tensor::plain(self.pin(nothing, clock));
            operands.push(Val::Tensor(nothing).at(operands[1].span));
        }
        let sums = self.keys(Keys {
            operands,
            named: keys.named,
            log_sum: true,
            choice: None,
            span: keys.span,
        })?;
        if sums.unknown {
            return Some(sums);
        }
        let heads = self.dims(&sums)[0].clone();
        let map = vec![IndexExpr::Axis(0), IndexExpr::Const(1)];
        Some(Tensor::plain(self.view(sums.v, vec![heads], map)))
    }

    /// Heads that choose together share a head of keys.
    fn check_choice(&mut self, choice: &Choice, spec: &AttendSpec, operands: &[Tensor], span: Span) -> Option<()> {
        if !spec.sums_behind().is_empty() {
            let message = "`select` scores each key by itself: it cannot add up what later keys say";
            let d = Diagnostic::new("score-use", self.place(span), message);
            self.report(d.help("`after` belongs to the `score` of an `attend`"));
            return None;
        }
        let [heads, groups] = [0, 1].map(|n| self.dims(&operands[n])[0].size);
        let share = heads / groups;
        if share.is_multiple_of(choice.together) {
            return Some(());
        }
        let together = choice.together;
        let message = format!("{together} heads of queries cannot choose together: each head of keys has {share}");
        let d = Diagnostic::new("bad-size", self.place(span), message);
        self.report(d.help("`together` divides the number of heads of queries by that of keys"));
        None
    }

    /// One set of keys: tokens, all of them or those of a clock.
    pub(super) fn keys(&mut self, keys: Keys<'_>) -> Option<Tensor> {
        let spans: Vec<Span> = keys.operands.iter().map(|x| x.span).collect();
        let mut operands = keys
            .operands
            .iter()
            .map(|x| self.real(&x.val, x.span))
            .collect::<Option<Vec<Tensor>>>()?;
        if operands.iter().any(|t| t.unknown) {
            return Some(Tensor {
                unknown: true,
                ..Tensor::plain(self.graph.scalar(0.0))
            });
        }
        let heads = self.check_heads(&operands, &spans, keys.span)?;
        let (clock, on) = self.clocks_of_keys(&operands, &spans)?;
        let (mut spec, mut streams) = self.options(keys.named, &mut operands, heads)?;
        spec.clock = clock;
        spec.causal &= clock != Clock::Memory;
        spec.log_sum = keys.log_sum;
        if let Some(choice) = &keys.choice {
            self.check_choice(choice, &spec, &operands, keys.span)?;
            spec.normaliser = Normaliser::Top(choice.top);
            spec.together = choice.together;
            if let Some(sums) = &choice.weights {
                streams.insert(spec.query_streams, sums.v);
                spec.score = Some(weight(spec.score.take(), PairExpr::QueryStream(spec.query_streams)));
                spec.query_streams += 1;
            }
        } else if keys.log_sum && spec.normaliser != Normaliser::Softmax {
            self.error(
                "wrong-operands",
                keys.span,
                "stages are normalised by a common softmax: a stage has no `normalise` option",
            );
            return None;
        }
        let attention = Attention {
            operands: &mut operands,
            spans: &spans,
            span: keys.span,
        };
        let angles = self.cached(&mut spec, attention)?;
        let ticks = on.filter(|_| clock.has_ticks());
        let queries = self.clock(operands[0].v);
        let operands: Vec<Value> = operands
            .iter()
            .map(|t| t.v)
            .chain(ticks)
            .chain(streams)
            .chain(angles)
            .collect();
        let v = self.graph.attend(spec, &operands);
        Some(Tensor::plain(self.pin(v, queries)))
    }

    /// What the model says of the caches of this layer. Gives the angles by which the policy turns queries and keys.
    fn cached(&mut self, spec: &mut AttendSpec, attention: Attention<'_>) -> Option<Option<Value>> {
        let Some(cache) = self.request.cache.clone() else {
            return Some(None);
        };
        spec.stored = cache.stored;
        let Some(policy) = &cache.policy else {
            return Some(None);
        };
        let angles = self.give_policy(policy, spec, attention)?;
        Some(angles.map(|t| t.v))
    }

    /// Which tokens are keys and queries, and the condition for it.
    fn clocks_of_keys(&mut self, operands: &[Tensor], spans: &[Span]) -> Option<(Clock, Option<Value>)> {
        let clocks: Vec<Option<Value>> = operands.iter().map(|t| self.clock(t.v)).collect();
        let (queries, keys) = (clocks[0], clocks[1]);
        if clocks[1..].iter().any(|c| *c != keys) {
            let place = self.place(spans[2]);
            let d = Diagnostic::new("clock-mismatch", place, "keys and values are on different clocks");
            let d = d.note(self.place(spans[1]), "the keys");
            self.report(d.help("`attend(q, k when on, v when on)`"));
            return None;
        }
        if let Some(keys) = keys.filter(|keys| self.is_memory(*keys)) {
            // Rows that attend to one another are the tokens of the graph that computes them.
            let among = queries == Some(keys);
            return Some((if among { Clock::Every } else { Clock::Memory }, None));
        }
        if queries.is_some_and(|queries| self.is_memory(queries)) {
            let place = self.place(spans[0]);
            self.joined_with_memory(place);
            return None;
        }
        match (queries, keys) {
            (_, None) => Some((Clock::Every, None)),
            (None, keys) => Some((Clock::Keys, keys)),
            (queries, keys) if queries == keys => Some((Clock::Both, keys)),
            _ => {
                let place = self.place(spans[0]);
                let d = Diagnostic::new("clock-mismatch", place, "queries and keys are on different clocks");
                let d = d.note(self.place(spans[1]), "the keys");
                self.report(d.help("queries exist at every token or on the clock of the keys"));
                None
            }
        }
    }

    /// Number of query heads, if the shapes fit together.
    fn check_heads(&mut self, operands: &[Tensor], spans: &[Span], span: Span) -> Option<usize> {
        let dims: Vec<_> = operands.iter().map(|t| self.dims(t)).collect();
        let problem = if operands.iter().any(|t| !t.vars.is_empty()) {
            Some("`attend` takes whole tensors, not entries".to_owned())
        } else if dims.iter().any(|d| d.len() != 2) {
            Some("queries, keys and values have two axes: heads and entries".to_owned())
        } else if dims.get(2).is_some_and(|v| dims[1][0] != v[0]) {
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
            d = d.note(self.place(*at), format!("{what} are {}", super::dims::shown(dims)));
        }
        self.report(d.help("`q: [heads, e]`, `k: [kv_heads, e]`, `v: [kv_heads, f]`"));
        None
    }
}

/// The weight of a key under softmax, as a score; a score of minus infinity stays one.
fn weight(score: Option<PairExpr>, sum: PairExpr) -> PairExpr {
    let of = |score: PairExpr| {
        let difference = PairExpr::binary(BinaryOp::Sub, score, sum);
        PairExpr::unary(UnaryOp::Exp, difference)
    };
    match score {
        None => of(PairExpr::Score),
        Some(score) => {
            let none = PairExpr::Const(f64::NEG_INFINITY);
            let unseen = PairExpr::binary(BinaryOp::Eq, score.clone(), none.clone());
            PairExpr::select(unseen, none, of(score))
        }
    }
}

/// The arguments of `stage(…)`, if an expression is that.
pub(super) fn stage_of(e: &Expr) -> Option<(&[Expr], &[NamedArg])> {
    match &e.kind {
        ExprKind::Call { callee, args, named } if callee.text == "stage" => Some((args, named)),
        _ => None,
    }
}
