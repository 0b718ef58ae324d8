//! Evaluation of an expression over a pair in any domain: the one traversal from the leaves up.

use super::{PairExpr, PairLeaf};
use crate::{BinaryOp, UnaryOp};

/// What an expression can be evaluated to: a rule for the leaves and one for each way to put values together.
///
/// Values of parts are computed from left to right, each once.
pub trait PairDomain {
    /// The value of an expression in this domain: a number, a set of pairs, a register, ….
    type Value;

    /// The value of an expression; that of its parts put together, unless the domain derives a better one from the expression
    /// itself. The way in.
    fn value(&mut self, expr: &PairExpr) -> Self::Value {
        self.of_parts(expr)
    }

    /// Positions, heads, streams, numbers.
    fn leaf(&mut self, leaf: PairLeaf) -> Self::Value;

    /// `op(x)`
    fn unary(&mut self, op: UnaryOp, x: Self::Value) -> Self::Value;

    /// `op(x, y)`
    fn binary(&mut self, op: BinaryOp, x: Self::Value, y: Self::Value) -> Self::Value;

    /// `if c then a else b`
    fn select(&mut self, c: Self::Value, a: Self::Value, b: Self::Value) -> Self::Value;

    /// The entry of table `n` at some indices.
    fn table(&mut self, n: usize, indices: Vec<Self::Value>) -> Self::Value;

    /// Whether `x` is an entry of the list that query stream `n` is.
    fn listed(&mut self, n: usize, x: Self::Value) -> Self::Value;

    /// The sum of `x` over the keys that the query sees behind this one.
    fn after(&mut self, x: Self::Value) -> Self::Value;

    /// The values of the parts of an expression, put together. Not to be overridden.
    fn of_parts(&mut self, expr: &PairExpr) -> Self::Value {
        match expr {
            PairExpr::Score => self.leaf(PairLeaf::Score),
            PairExpr::QueryPos => self.leaf(PairLeaf::QueryPos),
            PairExpr::KeyPos => self.leaf(PairLeaf::KeyPos),
            PairExpr::Head => self.leaf(PairLeaf::Head),
            PairExpr::QueryStream(n) => self.leaf(PairLeaf::QueryStream(*n)),
            PairExpr::KeyStream(n) => self.leaf(PairLeaf::KeyStream(*n)),
            PairExpr::Const(c) => self.leaf(PairLeaf::Const(*c)),
            PairExpr::Unary(op, x) => {
                let x = self.value(x);
                self.unary(*op, x)
            }
            PairExpr::Binary(op, x, y) => {
                let (x, y) = (self.value(x), self.value(y));
                self.binary(*op, x, y)
            }
            PairExpr::Select(c, a, b) => {
                let (c, a, b) = (self.value(c), self.value(a), self.value(b));
                self.select(c, a, b)
            }
            PairExpr::Listed(n, x) => {
                let x = self.value(x);
                self.listed(*n, x)
            }
            PairExpr::After(x) => {
                let x = self.value(x);
                self.after(x)
            }
            PairExpr::Table(n, indices) => {
                let indices = indices.iter().map(|index| self.value(index)).collect();
                self.table(*n, indices)
            }
        }
    }
}

/// Expressions themselves, with other leaves.
struct Substitution<'a>(&'a mut dyn FnMut(PairLeaf) -> PairExpr);

impl PairDomain for Substitution<'_> {
    type Value = PairExpr;

    fn leaf(&mut self, leaf: PairLeaf) -> PairExpr {
        (self.0)(leaf)
    }

    fn unary(&mut self, op: UnaryOp, x: PairExpr) -> PairExpr {
        PairExpr::unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, x: PairExpr, y: PairExpr) -> PairExpr {
        PairExpr::binary(op, x, y)
    }

    fn select(&mut self, c: PairExpr, a: PairExpr, b: PairExpr) -> PairExpr {
        PairExpr::select(c, a, b)
    }

    fn table(&mut self, n: usize, indices: Vec<PairExpr>) -> PairExpr {
        PairExpr::Table(n, indices)
    }

    fn listed(&mut self, n: usize, x: PairExpr) -> PairExpr {
        let list = match (self.0)(PairLeaf::QueryStream(n)) {
            PairExpr::QueryStream(m) => m,
            _ => n,
        };
        PairExpr::Listed(list, Box::new(x))
    }

    fn after(&mut self, x: PairExpr) -> PairExpr {
        PairExpr::After(Box::new(x))
    }
}

impl PairExpr {
    /// What it is written with, from left to right.
    pub fn leaves(&self) -> Vec<PairLeaf> {
        let mut leaves = Vec::new();
        self.substituted(&mut |leaf| {
            leaves.push(leaf);
            leaf.into()
        });
        leaves
    }

    /// The same expression with every leaf replaced by the expression that `of_leaf` gives for it; lists by those of another query stream.
    pub fn substitute(&self, of_leaf: &dyn Fn(PairLeaf) -> PairExpr) -> PairExpr {
        self.substituted(&mut |leaf| of_leaf(leaf))
    }

    fn substituted(&self, of_leaf: &mut dyn FnMut(PairLeaf) -> PairExpr) -> PairExpr {
        Substitution(of_leaf).value(self)
    }
}
