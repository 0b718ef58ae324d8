//! `stage`: several sets of keys under one softmax, and keys that a token brings along itself.

use super::{
    attend::{Keys, stage_of},
    cx::Cx,
    val::{Tensor, Val},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, NamedArg, Span};
use seqc_ir::{BinaryOp, Dim, Elem, Graph, IndexExpr, ReduceOp, Stage, Ty, UNSEEN, UnaryOp, Value};

/// Below every sum of exponentials that is not empty: its largest term is 1.
const TINY: f64 = 1e-30;

impl Cx<'_> {
    /// Several sets of keys under one softmax: each gives its result and the logarithm of its sum of exponentials.
    pub(super) fn staged(&mut self, args: &[Expr], named: &[NamedArg]) -> Val {
        if let Some(option) = named.first() {
            let place = self.place(option.name.span);
            let d = Diagnostic::new("unknown-setting", place, "options belong to the stages");
            return self.report(
                d.help("`attend(stage(q, k, v; where (i, j) = …), …)`; stages are normalised by a common softmax"),
            );
        }
        let mut parts = Vec::new();
        for arg in args {
            let Some((args, named)) = stage_of(arg) else {
                let place = self.place(arg.span);
                let d = Diagnostic::new("wrong-arguments", place, "stages can be combined with stages only");
                return self.report(d.help("`attend(stage(q, k, v; …), stage(s, v))`"));
            };
            let part = match args {
                [_, _, _] => {
                    let operands = args.iter().map(|e| self.operand(e)).collect();
                    let keys = Keys {
                        operands,
                        named,
                        log_sum: true,
                        choice: None,
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
                    super::dims::shown(&dims)
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
            let shown = super::dims::shown;
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
        let own = OwnKeys {
            scores: s.v,
            values: v.v,
            rank: values.len(),
            heads: scores[0].clone(),
            groups,
            count: scores[1].clone(),
            width: values[values.len() - 1].clone(),
        };
        Some(Tensor::plain(own.stage(&mut self.graph)))
    }
}

/// Keys that a token brings along itself.
struct OwnKeys {
    /// `[heads, count]`
    scores: Value,
    /// `[count, width]` or `[groups, count, width]`
    values: Value,
    /// Axes of the values.
    rank: usize,
    /// Query heads.
    heads: Dim,
    /// Sets of values.
    groups: usize,
    /// Keys.
    count: Dim,
    /// Entries of a value.
    width: Dim,
}

/// Exponentials of the scores of some keys.
struct Weights {
    /// The largest score of each head, `[heads]`.
    most: Value,
    /// Exponentials of the differences to it, zero where there is no key: `[heads, count]`.
    weight: Value,
    /// Where there is no key, `[heads, count]`.
    absent: Value,
    /// The sums of the exponentials, `[heads]`.
    mass: Value,
}

impl OwnKeys {
    /// The result `[heads, width + 1]`, its last column the logarithm of the sum of exponentials.
    fn stage(&self, g: &mut Graph) -> Value {
        let rows = Ty::new(Elem::F32, vec![self.heads.clone()]);
        let weights = self.weights(g);
        let sum = self.weighted_sum(g, &weights);
        let Weights { most, mass, .. } = weights;
        let tiny = g.constant(TINY, rows.clone());
        let safe = g.binary(BinaryOp::Max, mass, tiny);
        let shape = [&self.lead()[..], std::slice::from_ref(&self.width)].concat();
        let wide = g.view(safe, shape, vec![self.head()]);
        let mean = g.binary(BinaryOp::Div, sum, wide);
        let mean = g.reshape(mean, vec![self.heads.clone(), self.width.clone()]);
        let log = g.unary(UnaryOp::Log, safe);
        let log = g.binary(BinaryOp::Add, most, log);
        let (unseen, nothing) = (g.constant(UNSEEN, rows.clone()), g.constant(0.0, rows));
        let some = g.binary(BinaryOp::Gt, mass, nothing);
        let log = g.select(some, log, unseen);
        let log = g.reshape(log, vec![self.heads.clone(), Dim::new("", 1)]);
        g.concat(1, &[mean, log])
    }

    /// The axis of the heads. One head has none: recurrences of the values are then elementwise.
    fn lead(&self) -> Vec<Dim> {
        if self.heads.size == 1 {
            Vec::new()
        } else {
            vec![self.heads.clone()]
        }
    }

    /// The head of an entry of a tensor that begins with [`OwnKeys::lead`].
    fn head(&self) -> IndexExpr {
        if self.heads.size == 1 {
            IndexExpr::Const(0)
        } else {
            IndexExpr::Axis(0)
        }
    }

    fn weights(&self, g: &mut Graph) -> Weights {
        let most = g.reduce(ReduceOp::Max, self.scores, 1);
        let wide = vec![self.heads.clone(), self.count.clone()];
        let spread = g.view(most, wide.clone(), vec![IndexExpr::Axis(0)]);
        let below = g.binary(BinaryOp::Sub, self.scores, spread);
        let weight = g.unary(UnaryOp::Exp, below);
        let (none, zero) = (
            g.constant(UNSEEN / 2.0, Ty::new(Elem::F32, wide.clone())),
            g.constant(0.0, Ty::new(Elem::F32, wide)),
        );
        // What is no number is there, and makes the result no number.
        let absent = g.binary(BinaryOp::Le, self.scores, none);
        let weight = g.select(absent, zero, weight);
        let mass = g.reduce(ReduceOp::Sum, weight, 1);
        Weights {
            most,
            weight,
            absent,
            mass,
        }
    }

    /// Sums of values times their weights, `[heads, width]`, or `[width]` for one head.
    fn weighted_sum(&self, g: &mut Graph, weights: &Weights) -> Value {
        let (lead, head) = (self.lead(), self.head());
        let axis = lead.len();
        let share = (self.heads.size / self.groups) as i64;
        let group = if lead.is_empty() || share == 1 {
            head.clone()
        } else {
            IndexExpr::Div(Box::new(IndexExpr::Axis(0)), share)
        };
        let cube = [&lead[..], &[self.width.clone(), self.count.clone()]].concat();
        let (column, key) = (IndexExpr::Axis(axis), IndexExpr::Axis(axis + 1));
        let spread = g.view(weights.weight, cube.clone(), vec![head.clone(), key.clone()]);
        let map = match self.rank {
            2 => vec![key, column],
            _ => vec![group, key, column],
        };
        let entries = g.view(self.values, cube.clone(), map);
        let mut product = g.binary(BinaryOp::Mul, spread, entries);
        if g.stages()[self.values.0 as usize] == Stage::Token {
            // Values that are not there may be no numbers, the mean of nothing say, which a weight of zero does not change.
            let absent = g.view(
                weights.absent,
                cube.clone(),
                vec![head.clone(), IndexExpr::Axis(axis + 1)],
            );
            let nothing = g.constant(0.0, Ty::new(Elem::F32, cube));
            product = g.select(absent, nothing, product);
        }
        g.reduce(ReduceOp::Sum, product, 1)
    }
}
