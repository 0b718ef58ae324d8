//! `attend`: queries, keys, values, and functions of (query, key) pairs.

use super::{
    cx::{Cx, Pairs},
    elementwise::Part,
    val::{Score, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, ExprKind, NamedArg, Span};
use seqc_ir::{
    AttendSpec, BinaryOp, Clock, Dim, Elem, IndexExpr, Normaliser, PairExpr, ReduceOp, Stage, Ty, UNSEEN, UnaryOp,
    Value,
};

/// Below every sum of exponentials that is not empty: its largest term is 1.
const TINY: f64 = 1e-30;

/// Options of `attend` and of its stages.
const OPTIONS: &[&str] = &["scale", "where", "score", "normalise", "causal"];

/// Options of `select`.
const SELECT: &[&str] = &["top", "scale", "where", "score", "causal"];

/// Most keys that `select` finds.
const MAX_TOP: usize = 64;

/// Queries, keys and values with their places, and the options of an attention.
struct Keys<'a> {
    operands: Vec<Part>,
    named: &'a [NamedArg],
    /// The logarithm of the sum of exponentials is one more column.
    log_sum: bool,
    /// Find so many keys instead of a weighted sum.
    top: Option<usize>,
    span: Span,
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
        let operands = args.iter().map(|e| (self.expr(e), e.span)).collect();
        let keys = Keys {
            operands,
            named,
            log_sum: false,
            top: None,
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
        let (mut top, mut rest) = (1, Vec::new());
        for option in named {
            match option.name.text.as_str() {
                "top" => match self.size(&option.value).map(|d| d.size) {
                    Some(n) if n <= MAX_TOP => top = n,
                    Some(n) => {
                        let message = format!("`select` finds up to {MAX_TOP} keys, not {n}");
                        return self.error("bad-size", option.value.span, message);
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
        let operands: Vec<Part> = args.iter().map(|e| (self.expr(e), e.span)).collect();
        let keys = Keys {
            operands,
            named: &rest,
            log_sum: false,
            top: Some(top),
            span,
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

    /// Several sets of keys under one softmax: each gives its result and the logarithm of its sum of exponentials.
    fn staged(&mut self, args: &[Expr], named: &[NamedArg]) -> Val {
        if let Some(option) = named.first() {
            let place = self.place(option.name.span);
            let d = Diagnostic::new("unknown-setting", place, "options belong to the stages");
            return self.report(d.help("`attend(stage(q, k, v; where (i, j) = …), …)`; stages are joined by softmax"));
        }
        let mut parts = Vec::new();
        for arg in args {
            let Some((args, named)) = stage_of(arg) else {
                let place = self.place(arg.span);
                let d = Diagnostic::new("wrong-arguments", place, "beside a stage stand stages");
                return self.report(d.help("`attend(stage(q, k, v; …), stage(s, v))`"));
            };
            let part = match args {
                [_, _, _] => {
                    let operands = args.iter().map(|e| (self.expr(e), e.span)).collect();
                    let keys = Keys {
                        operands,
                        named,
                        log_sum: true,
                        top: None,
                        span: arg.span,
                    };
                    self.keys(keys)
                }
                [s, v] if named.is_empty() => self.own_keys(s, v, arg.span),
                _ => {
                    let place = self.place(arg.span);
                    let d = Diagnostic::new(
                        "wrong-arguments",
                        place,
                        "a stage is `stage(q, k, v; …)` or `stage(s, v)`",
                    );
                    self.report(d.help("queries, keys and values of tokens; or scores `s: [heads, n]` and values `v: [n, f]` of this token's own"));
                    None
                }
            };
            let Some(part) = part else {
                return Val::Poison;
            };
            if part.unknown {
                return Val::Tensor(part);
            }
            // Caches are called after their stage.
            self.graph.set_name(part.v, format!("stage{}", self.stages));
            self.stages += 1;
            parts.push((part, arg.span));
        }
        let shape = self.dims(&parts[0].0);
        for (part, at) in &parts {
            let dims = self.dims(part);
            if dims != shape {
                let less = |dims: &[Dim]| {
                    let mut dims = dims.to_vec();
                    if let Some(last) = dims.last_mut() {
                        *last = Dim::new("", last.size - 1);
                    }
                    super::shape::shown(&dims)
                };
                let place = self.place(*at);
                let message = format!("this stage gives {}, the first one {}", less(&dims), less(&shape));
                return self.report(
                    Diagnostic::new("shape-mismatch", place, message)
                        .help("stages have the same heads and values of one size"),
                );
            }
        }
        let parts: Vec<Tensor> = parts.into_iter().map(|(part, _)| part).collect();
        Val::Tensor(self.merged(&parts))
    }

    /// The exact join of results `[H, F + 1]` whose last column is the logarithm of the sum of exponentials.
    fn merged(&mut self, parts: &[Tensor]) -> Tensor {
        let dims = self.dims(&parts[0]);
        let (heads, width) = (dims[0].clone(), dims[1].size - 1);
        let rows = vec![heads.clone()];
        let wide = vec![heads, Dim::new("", width)];
        let g = &mut self.graph;
        let logs: Vec<Value> = parts
            .iter()
            .map(|p| {
                let map = vec![IndexExpr::Axis(0), IndexExpr::Const(width as i64)];
                g.view(p.v, rows.clone(), map)
            })
            .collect();
        let top = logs[1..]
            .iter()
            .fold(logs[0], |top, l| g.binary(BinaryOp::Max, top, *l));
        let ty = Ty::new(Elem::F32, rows);
        let (zero, none, tiny) = (
            g.constant(0.0, ty.clone()),
            g.constant(UNSEEN / 2.0, ty.clone()),
            g.constant(TINY, ty),
        );
        let (mut mass, mut sum): (Option<Value>, Option<Value>) = (None, None);
        for (part, log) in parts.iter().zip(&logs) {
            let seen = g.binary(BinaryOp::Gt, *log, none);
            let below = g.binary(BinaryOp::Sub, *log, top);
            let weight = g.unary(UnaryOp::Exp, below);
            let weight = g.select(seen, weight, zero);
            mass = Some(mass.map_or(weight, |m| g.binary(BinaryOp::Add, m, weight)));
            let own = g.view(part.v, wide.clone(), vec![IndexExpr::Axis(0), IndexExpr::Axis(1)]);
            let weight = g.view(weight, wide.clone(), vec![IndexExpr::Axis(0)]);
            let term = g.binary(BinaryOp::Mul, weight, own);
            sum = Some(sum.map_or(term, |s| g.binary(BinaryOp::Add, s, term)));
        }
        let (mass, sum) = (mass.unwrap_or(zero), sum.unwrap_or(zero));
        let mass = g.binary(BinaryOp::Max, mass, tiny);
        let mass = g.view(mass, wide, vec![IndexExpr::Axis(0)]);
        Tensor::plain(g.binary(BinaryOp::Div, sum, mass))
    }

    /// `stage(s, v)`: keys that the token brings along itself, scores `[H, N]` and values `[N, F]` or `[G, N, F]`.
    fn own_keys(&mut self, score: &Expr, value: &Expr, span: Span) -> Option<Tensor> {
        let (s, v) = (self.expr(score), self.expr(value));
        let (s, v) = (self.real(&s, score.span)?, self.real(&v, value.span)?);
        if s.unknown || v.unknown {
            return Some(Tensor {
                unknown: true,
                ..Tensor::plain(self.graph.scalar(0.0))
            });
        }
        let (scores, values) = (self.dims(&s), self.dims(&v));
        let groups = if values.len() == 3 { values[0].size } else { 1 };
        let fits = s.vars.is_empty()
            && v.vars.is_empty()
            && scores.len() == 2
            && matches!(values.len(), 2 | 3)
            && values[values.len() - 2] == scores[1]
            && scores[0].size.is_multiple_of(groups);
        if !fits {
            let place = self.place(span);
            let shown = super::shape::shown;
            let d = Diagnostic::new(
                "shape-mismatch",
                place,
                "`stage(s, v)` takes `s: [heads, n]` and `v: [n, f]` or `[kv_heads, n, f]`",
            )
            .note(self.place(score.span), format!("this is {}", shown(&scores)))
            .note(self.place(value.span), format!("this is {}", shown(&values)));
            self.report(d);
            return None;
        }
        let (heads, count, width) = (scores[0].clone(), scores[1].clone(), values[values.len() - 1].clone());
        let share = (heads.size / groups) as i64;
        let g = &mut self.graph;
        let rows = Ty::new(Elem::F32, vec![heads.clone()]);
        let most = g.reduce(ReduceOp::Max, s.v, 1);
        let wide = vec![heads.clone(), count.clone()];
        let spread = g.view(most, wide.clone(), vec![IndexExpr::Axis(0)]);
        let below = g.binary(BinaryOp::Sub, s.v, spread);
        let weight = g.unary(UnaryOp::Exp, below);
        let (none, zero) = (
            g.constant(UNSEEN / 2.0, Ty::new(Elem::F32, wide.clone())),
            g.constant(0.0, Ty::new(Elem::F32, wide)),
        );
        // What is no number is there, and makes the result no number.
        let absent = g.binary(BinaryOp::Le, s.v, none);
        let weight = g.select(absent, zero, weight);
        let mass = g.reduce(ReduceOp::Sum, weight, 1);
        // One head has no axis: what the values remember then runs entry by entry.
        let one = heads.size == 1;
        let (lead, axis) = if one { (vec![], 0) } else { (vec![heads.clone()], 1) };
        let head = if one { IndexExpr::Const(0) } else { IndexExpr::Axis(0) };
        let group = if one || share == 1 {
            head.clone()
        } else {
            IndexExpr::Div(Box::new(IndexExpr::Axis(0)), share)
        };
        let cube = [&lead[..], &[width.clone(), count]].concat();
        let (column, key) = (IndexExpr::Axis(axis), IndexExpr::Axis(axis + 1));
        let weights = g.view(weight, cube.clone(), vec![head.clone(), key.clone()]);
        let map = match values.len() {
            2 => vec![key, column],
            _ => vec![group, key, column],
        };
        let entries = g.view(v.v, cube.clone(), map);
        let mut product = g.binary(BinaryOp::Mul, weights, entries);
        if g.stages()[v.v.0 as usize] == Stage::Token {
            // Values that are not there may be no numbers, the mean of nothing say, which a weight of zero does not change.
            let absent = g.view(absent, cube.clone(), vec![head.clone(), IndexExpr::Axis(axis + 1)]);
            let nothing = g.constant(0.0, Ty::new(Elem::F32, cube));
            product = g.select(absent, nothing, product);
        }
        let sum = g.reduce(ReduceOp::Sum, product, 1);
        let tiny = g.constant(TINY, rows.clone());
        let safe = g.binary(BinaryOp::Max, mass, tiny);
        let shape = [&lead[..], std::slice::from_ref(&width)].concat();
        let wide = g.view(safe, shape, vec![head]);
        let mean = g.binary(BinaryOp::Div, sum, wide);
        let mean = g.reshape(mean, vec![heads.clone(), width]);
        let log = g.unary(UnaryOp::Log, safe);
        let log = g.binary(BinaryOp::Add, most, log);
        let (unseen, nothing) = (g.constant(UNSEEN, rows.clone()), g.constant(0.0, rows));
        let some = g.binary(BinaryOp::Gt, mass, nothing);
        let log = g.select(some, log, unseen);
        let log = g.reshape(log, vec![heads, Dim::new("", 1)]);
        Some(Tensor::plain(g.concat(1, &[mean, log])))
    }

    /// One set of keys: tokens, all of them or those of a clock.
    fn keys(&mut self, keys: Keys<'_>) -> Option<Tensor> {
        let spans: Vec<Span> = keys.operands.iter().map(|(_, at)| *at).collect();
        let mut operands = keys
            .operands
            .iter()
            .map(|(val, at)| self.real(val, *at))
            .collect::<Option<Vec<Tensor>>>()?;
        if operands.iter().any(|t| t.unknown) {
            return Some(Tensor {
                unknown: true,
                ..Tensor::plain(self.graph.scalar(0.0))
            });
        }
        let heads = self.check_heads(&operands, &spans, keys.span)?;
        let (clock, on) = self.clocks_of_keys(&operands, &spans)?;
        let (mut spec, streams) = self.options(keys.named, &mut operands, heads)?;
        spec.clock = clock;
        spec.log_sum = keys.log_sum;
        if let Some(n) = keys.top {
            spec.normaliser = Normaliser::Top(n);
        } else if keys.log_sum && spec.normaliser != Normaliser::Softmax {
            self.error(
                "wrong-operands",
                keys.span,
                "stages are joined by softmax: a stage has no other normaliser",
            );
            return None;
        }
        let ticks = (clock != Clock::Every).then_some(on).flatten();
        let queries = self.clock(operands[0].v);
        let operands: Vec<Value> = operands.iter().map(|t| t.v).chain(ticks).chain(streams).collect();
        let v = self.graph.attend(spec, &operands);
        Some(Tensor::plain(self.pin(v, queries)))
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
            d = d.note(self.place(*at), format!("{what} are {}", super::shape::shown(dims)));
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
        let Some(found) = self.clock(v) else {
            return true;
        };
        let clocks = self.pairs.as_ref().map_or((None, None), |p| p.clocks);
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
        let score = self.as_pair(&(val, option.value.span))?;
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
        let score = self.as_pair(&(val, option.value.span))?;
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
}

/// The arguments of `stage(…)`, if an expression is that.
fn stage_of(e: &Expr) -> Option<(&[Expr], &[NamedArg])> {
    match &e.kind {
        ExprKind::Call { callee, args, named } if callee.text == "stage" => Some((args, named)),
        _ => None,
    }
}
