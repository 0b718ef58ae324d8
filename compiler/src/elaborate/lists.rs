//! Lists of the query in `where`: `any(n: chosen[head, n] == j / 16)` looks through a stream as a whole, of any length.

use super::{
    cx::Cx,
    val::{Operand, Score, Tensor, Val},
};
use crate::known::Known;
use seqc_grammar::ast::{BinOp, Expr, ExprKind, Ident, Span};
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, PairExpr, UnaryOp};

/// The two sides of a comparison that looks for a number in a list.
struct Sides<'e> {
    /// The stream.
    stream: &'e Expr,
    /// Its indices, of which one is the variable that runs over the list.
    indices: &'e [Expr],
    /// Which one.
    along: usize,
    /// What is looked for.
    number: &'e Expr,
}

impl Cx<'_> {
    /// `any(n: body)` where the body compares an entry of a stream at the query with something else that is the same for all `n`; `None` for
    /// others.
    pub(super) fn listed(&mut self, name: &Ident, size: usize, body: &Expr) -> Option<Val> {
        let governed = self.request.cache.as_ref().is_some_and(|cache| cache.policy.is_some());
        let sides = self.sides(&name.text, body).filter(|_| !governed)?;
        let whole = std::mem::replace(&mut self.whole, false);
        let val = self.expr(sides.stream);
        self.whole = whole;
        let Val::Tensor(t) = val else { return None };
        let dims = self.dims(&t);
        let fits = dims.len() == sides.indices.len() && t.vars.is_empty() && !t.unknown && self.elem(&t) != Elem::Bool;
        if !fits || self.is_load(t.v) {
            return None;
        }
        let entries = dims[sides.along].size;
        if entries < size {
            let message = format!("`{}` runs over {size} entries of an axis of {entries}", name.text);
            return Some(self.error("out-of-range", sides.indices[sides.along].span, message));
        }
        let (mut map, mut head) = (Vec::new(), None);
        for (n, (index, dim)) in sides.indices.iter().zip(&dims).enumerate() {
            if n == sides.along {
                map.push(None);
                continue;
            }
            let whole = std::mem::replace(&mut self.whole, true);
            let index = self.operand(index);
            self.whole = whole;
            let at = self.entry_index(&index, dim.size)?;
            if !matches!(at, IndexExpr::Const(_)) && head.replace(n).is_some() {
                return None;
            }
            map.push(Some(at));
        }
        let along = IndexExpr::Axis(usize::from(head.is_some()));
        let map = map.into_iter().map(|at| at.unwrap_or(along.clone())).collect();
        let heads = self.pairs.as_ref().map_or(0, |pairs| pairs.heads);
        let of_heads = head.map(|n| Dim::new(&*dims[n].name, heads));
        let shape = of_heads
            .into_iter()
            .chain([Dim::new(&*dims[sides.along].name, size)])
            .collect();
        let list = self.view(t.v, shape, map);
        let number = self.operand(sides.number);
        if matches!(number.val, Val::Poison) {
            return Some(Val::Poison);
        }
        let number = self.as_pair(&number)?;
        if number.elem == Elem::Bool {
            return None;
        }
        Some(self.looks_through(&Tensor::plain(list), number, sides.stream.span))
    }

    fn looks_through(&mut self, list: &Tensor, number: Score, span: Span) -> Val {
        if !self.pair_clock(list.v, false, span) {
            return Val::Poison;
        }
        let Some(pairs) = &mut self.pairs else {
            return Val::Poison;
        };
        let n = pairs.query.iter().position(|v| *v == list.v).unwrap_or_else(|| {
            pairs.query.push(list.v);
            pairs.query.len() - 1
        });
        Val::Score(Score::new(PairExpr::Listed(n, Box::new(number.expr)), Elem::Bool))
    }

    /// The sides of `list[…, n] == number`, in either order.
    fn sides<'e>(&self, name: &str, body: &'e Expr) -> Option<Sides<'e>> {
        let ExprKind::Binary(BinOp::Eq, x, y) = &body.kind else {
            return None;
        };
        [(x, y), (y, x)].into_iter().find_map(|(list, number)| {
            let ExprKind::Index { base, indices } = &list.kind else {
                return None;
            };
            let stream = match &base.kind {
                ExprKind::Index { base: inner, indices } if indices.len() == 1 => match self.token_of(&indices[0]) {
                    Some(false) => inner,
                    _ => return None,
                },
                _ => base,
            };
            let along = indices.iter().position(|e| is_name(e, name))?;
            let others = indices.iter().enumerate().filter(|(n, _)| *n != along).map(|(_, e)| e);
            let elsewhere = others.chain([&**stream, &**number]).any(|e| mentions(e, name));
            (!elsewhere).then_some(Sides {
                stream,
                indices,
                along,
                number,
            })
        })
    }

    /// The place in an axis of `size` entries that an index of numbers or of the query head is.
    pub(super) fn entry_index(&self, index: &Operand, size: usize) -> Option<IndexExpr> {
        let heads = self.pairs.as_ref().map_or(0, |pairs| pairs.heads);
        let expr = match &index.val {
            Val::Known(Known::Num(n)) => PairExpr::Const(*n),
            Val::Score(score) => score.expr.clone(),
            _ => return None,
        };
        if let Some(number) = expr.constant() {
            let inside = number >= 0.0 && number.fract() == 0.0 && number < size as f64;
            return inside.then_some(IndexExpr::Const(number as i64));
        }
        let share = share_of_heads(&expr)?;
        let last = heads.saturating_sub(1) / share;
        (last < size).then(|| match share {
            1 => IndexExpr::Axis(0),
            share => IndexExpr::Div(Box::new(IndexExpr::Axis(0)), share as i64),
        })
    }
}

/// `n` of `head / n`; 1 of `head`.
fn share_of_heads(expr: &PairExpr) -> Option<usize> {
    match expr {
        PairExpr::Head => Some(1),
        PairExpr::Unary(UnaryOp::Floor, quotient) => match &**quotient {
            PairExpr::Binary(BinaryOp::Div, x, share) if **x == PairExpr::Head => {
                let share = share.constant()?;
                (share >= 1.0 && share.fract() == 0.0 && share < 65536.0).then_some(share as usize)
            }
            _ => None,
        },
        _ => None,
    }
}

fn is_name(e: &Expr, name: &str) -> bool {
    matches!(&e.kind, ExprKind::Name(text) if text == name)
}

fn mentions(e: &Expr, name: &str) -> bool {
    is_name(e, name)
        || super::children::children(e)
            .into_iter()
            .any(|part| mentions(part, name))
}
