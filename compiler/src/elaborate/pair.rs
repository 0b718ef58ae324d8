//! Functions of query and key: what streams and tables give inside `where` and `score`.

use super::{
    cx::{Binding, Cx},
    val::{Operand, Score, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, ExprKind, Span};
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, PairExpr};

/// Where a function of pairs reads a stream: at the key or at the query, all heads alike or each its own.
#[derive(Clone, Copy, Debug)]
struct PairAt {
    key: bool,
    head: bool,
}

impl Cx<'_> {
    /// Brackets inside `where` and `score` whose indices are positions, heads or what is made of them: `g[i]`, `g[j][head]`,
    /// `g[head, 2]`, entries of a stream; `table[i - j]`, of what is the same for all tokens. Other brackets are none of this.
    pub(super) fn pair_entry(&mut self, base: &Expr, indices: &[Expr], span: Span) -> Option<Val> {
        self.pairs.as_ref()?;
        let (stream, token, rest) = match &base.kind {
            ExprKind::Index {
                base: inner,
                indices: at,
            } if at.len() == 1 && self.token_of(&at[0]).is_some() => (&**inner, self.token_of(&at[0]), indices),
            _ => (base, None, indices),
        };
        if token.is_none() && !indices.iter().any(|e| self.mentions_pair(e)) {
            return None;
        }
        let whole = std::mem::replace(&mut self.whole, false);
        let val = self.expr(stream);
        self.whole = whole;
        if matches!(val, Val::Known(_)) {
            return None;
        }
        let Some(t) = self.tensor(&val, stream.span) else {
            return Some(Val::Poison);
        };
        let rank = self.dims(&t).len();
        let load = self.is_load(t.v);
        // `g[i]` and `g[j]` of a stream are its value at that token.
        let (token, rest) = match (token, rest) {
            (None, [at]) if !(load && rank > 0) && self.token_of(at).is_some() => (self.token_of(at), &[][..]),
            kept => kept,
        };
        let whole = std::mem::replace(&mut self.whole, true);
        let entry: Vec<Operand> = rest.iter().map(|e| self.operand(e)).collect();
        self.whole = whole;
        if entry.iter().any(|index| matches!(index.val, Val::Poison)) {
            return Some(Val::Poison);
        }
        if load && rank > 0 && !self.is_per_head(&t, &entry) {
            return Some(self.pair_table(&t, stream, &entry, span));
        }
        Some(self.pair_part(&t, token.unwrap_or(false), &entry, stream.span))
    }

    /// Whether an index is the position of the key (true) or of the query (false).
    pub(super) fn token_of(&self, e: &Expr) -> Option<bool> {
        match self.lambda_of(e)? {
            PairExpr::KeyPos => Some(true),
            PairExpr::QueryPos => Some(false),
            _ => None,
        }
    }

    /// What a name stands for among the parameters of `where` and `score`, and in a function that is given one of them.
    fn lambda_of(&self, e: &Expr) -> Option<PairExpr> {
        let ExprKind::Name(name) = &e.kind else { return None };
        let frame = self.frames.last()?;
        if let Some((_, score)) = frame.lambda.iter().rev().find(|(n, _)| n == name) {
            return Some(score.expr.clone());
        }
        match &frame.names.get(name)?.binding {
            Binding::Value(Val::Score(score)) => Some(score.expr.clone()),
            _ => None,
        }
    }

    fn mentions_pair(&self, e: &Expr) -> bool {
        self.lambda_of(e).is_some()
            || super::children::children(e)
                .into_iter()
                .any(|part| self.mentions_pair(part))
    }

    /// One value per query head, read at `head`.
    fn is_per_head(&self, t: &Tensor, indices: &[Operand]) -> bool {
        let heads = self.pairs.as_ref().map_or(0, |p| p.heads);
        let dims = self.dims(t);
        matches!(indices, [Operand { val: Val::Score(s), .. }] if s.expr == PairExpr::Head)
            && dims.len() == 1
            && dims[0].size == heads
    }

    /// An entry of a tensor that is the same for all tokens.
    fn pair_table(&mut self, t: &Tensor, base: &Expr, entry: &[Operand], span: Span) -> Val {
        let dims = self.dims(t);
        if dims.len() != entry.len() || !t.vars.is_empty() {
            return self.wrong_rank(base, &dims, entry.len(), span);
        }
        let mut indices = Vec::new();
        for index in entry {
            let Some(score) = self.as_pair(index) else {
                return Val::Poison;
            };
            if score.elem != Elem::I64 {
                let place = self.place(index.span);
                let d = Diagnostic::new("bad-index", place, "an index is an integer");
                return self
                    .report(d.help("positions and heads are; `int(x)` makes one of a real number, rounded down"));
            }
            indices.push(score.expr);
        }
        let elem = self.elem(t);
        let table = self.cast(t, Elem::F32);
        let Some(pairs) = &mut self.pairs else {
            return Val::Poison;
        };
        let n = pairs.tables.iter().position(|v| *v == table.v).unwrap_or_else(|| {
            pairs.tables.push(table.v);
            pairs.tables.len() - 1
        });
        Val::Score(truth_or_number(PairExpr::Table(n, indices), elem))
    }

    /// A stream at the query or the key, at one entry or at the query head's.
    fn pair_part(&mut self, t: &Tensor, key: bool, entry: &[Operand], span: Span) -> Val {
        let dims = self.dims(t);
        if !entry.is_empty() && entry.len() != dims.len() {
            let place = self.place(span);
            let d = Diagnostic::new(
                "wrong-rank",
                place,
                format!("{} indices for {}", entry.len(), super::dims::shown(&dims)),
            );
            return self
                .report(d.help("a stream is read at `i` or `j`, then at all its axes: `g[j][head]`, `g[i][head, 2]`"));
        }
        let (mut map, mut kept, mut head) = (Vec::new(), Vec::new(), false);
        for (index, dim) in entry.iter().zip(&dims) {
            let number = match &index.val {
                Val::Known(Known::Num(n)) => Some(*n),
                Val::Score(s) if s.expr.constant().is_some() => s.expr.constant(),
                Val::Score(s) if s.expr == PairExpr::Head && !head => None,
                Val::Score(_) if !head && self.entry_index(index, dim.size).is_some() => {
                    let heads = self.pairs.as_ref().map_or(0, |pairs| pairs.heads);
                    map.extend(self.entry_index(index, dim.size));
                    kept.push(Dim::new(&*dim.name, heads));
                    head = true;
                    continue;
                }
                _ => {
                    let place = self.place(index.span);
                    let message = "entries of a stream are chosen by numbers and by `head`";
                    let d = Diagnostic::new("bad-index", place, message);
                    return self.report(d.help(
                        "streams are read at `i`, at `j` or at `head`; over an axis run `any(n: …)` and `sum(n: …)`",
                    ));
                }
            };
            match number {
                Some(n) if n >= 0.0 && n.fract() == 0.0 && (n as usize) < dim.size => {
                    map.push(IndexExpr::Const(n as i64))
                }
                Some(n) => {
                    let message = format!("the index {n} leaves an axis of {} entries", dim.size);
                    return self.error("out-of-range", index.span, message);
                }
                None => {
                    map.push(IndexExpr::Axis(0));
                    kept.push(dim.clone());
                    head = true;
                }
            }
        }
        let part = match entry.is_empty() || !t.vars.is_empty() {
            true => t.clone(),
            false => Tensor::plain(self.view(t.v, kept, map)),
        };
        self.pair_stream(&part, PairAt { key, head }, span)
    }

    /// A stream read at the query or at the key, a scalar or one value per head.
    fn pair_stream(&mut self, t: &Tensor, at: PairAt, span: Span) -> Val {
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
            let d = d.says(format!("this is {}", super::dims::shown(&dims)));
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
        if !self.pair_clock(t.v, key, span) {
            return Val::Poison;
        }
        let Some(pairs) = &mut self.pairs else {
            return Val::Poison;
        };
        let streams = if key { &mut pairs.key } else { &mut pairs.query };
        let n = streams.iter().position(|v| *v == t.v).unwrap_or_else(|| {
            streams.push(t.v);
            streams.len() - 1
        });
        let expr = if key {
            PairExpr::KeyStream(n)
        } else {
            PairExpr::QueryStream(n)
        };
        Val::Score(truth_or_number(expr, if truth { Elem::Bool } else { elem }))
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
        let d = Diagnostic::new("not-indexed", place, "a stream is indexed by the query or the key here");
        self.report(d.help("write `g[i]` (query), `g[j]` (key), or `w[head]` for a value per head"));
        None
    }
}

/// A number of a tensor, or the boolean that it stands for.
fn truth_or_number(expr: PairExpr, elem: Elem) -> Score {
    if elem != Elem::Bool {
        return Score::new(expr, elem);
    }
    Score::new(PairExpr::binary(BinaryOp::Ne, expr, PairExpr::Const(0.0)), Elem::Bool)
}
