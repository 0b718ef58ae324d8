//! Small expressions inside operations: index maps of views and score functions of attention.

use crate::{BinaryOp, UnaryOp};

/// An index into a source axis, as a function of the indices of the result axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IndexExpr {
    /// Index along result axis `n`.
    Axis(usize),
    /// A constant.
    Const(i64),
    /// Sum.
    Add(Box<IndexExpr>, Box<IndexExpr>),
    /// Product with a constant.
    Mul(Box<IndexExpr>, i64),
    /// Division by a positive constant, rounded down.
    Div(Box<IndexExpr>, i64),
    /// Remainder by a positive constant, in `0..n`.
    Mod(Box<IndexExpr>, i64),
}

impl IndexExpr {
    /// Value at the given result indices.
    pub fn eval(&self, axes: &[i64]) -> i64 {
        match self {
            IndexExpr::Axis(n) => axes[*n],
            IndexExpr::Const(c) => *c,
            IndexExpr::Add(a, b) => a.eval(axes) + b.eval(axes),
            IndexExpr::Mul(a, k) => a.eval(axes) * k,
            IndexExpr::Div(a, k) => a.eval(axes).div_euclid(*k),
            IndexExpr::Mod(a, k) => a.eval(axes).rem_euclid(*k),
        }
    }

    /// Smallest and largest value over all result indices of the given sizes.
    pub fn range(&self, sizes: &[usize]) -> (i64, i64) {
        match self {
            IndexExpr::Axis(n) => (0, sizes[*n] as i64 - 1),
            IndexExpr::Const(c) => (*c, *c),
            IndexExpr::Add(a, b) => {
                let ((al, ah), (bl, bh)) = (a.range(sizes), b.range(sizes));
                (al + bl, ah + bh)
            }
            IndexExpr::Mul(a, k) => {
                let (l, h) = a.range(sizes);
                if *k >= 0 { (l * k, h * k) } else { (h * k, l * k) }
            }
            IndexExpr::Div(a, k) => {
                let (l, h) = a.range(sizes);
                (l.div_euclid(*k), h.div_euclid(*k))
            }
            IndexExpr::Mod(a, k) => {
                let (l, h) = a.range(sizes);
                if l.div_euclid(*k) == h.div_euclid(*k) {
                    (l.rem_euclid(*k), h.rem_euclid(*k))
                } else {
                    (0, k - 1)
                }
            }
        }
    }

    /// Axes, numbers and operations that it is written with.
    pub fn length(&self) -> usize {
        match self {
            IndexExpr::Axis(_) | IndexExpr::Const(_) => 1,
            IndexExpr::Add(a, b) => 1 + a.length() + b.length(),
            IndexExpr::Mul(a, _) | IndexExpr::Div(a, _) | IndexExpr::Mod(a, _) => 1 + a.length(),
        }
    }

    /// The same expression with every result axis replaced by another one.
    pub fn map_axes(&self, axis: &dyn Fn(usize) -> usize) -> IndexExpr {
        let sub = |e: &IndexExpr| Box::new(e.map_axes(axis));
        match self {
            IndexExpr::Axis(n) => IndexExpr::Axis(axis(*n)),
            IndexExpr::Const(c) => IndexExpr::Const(*c),
            IndexExpr::Add(a, b) => IndexExpr::Add(sub(a), sub(b)),
            IndexExpr::Mul(a, k) => IndexExpr::Mul(sub(a), *k),
            IndexExpr::Div(a, k) => IndexExpr::Div(sub(a), *k),
            IndexExpr::Mod(a, k) => IndexExpr::Mod(sub(a), *k),
        }
    }

    /// The same expression with every result axis replaced by the expression that `axes` gives for it.
    pub fn substitute(&self, axes: &[IndexExpr]) -> IndexExpr {
        let sub = |e: &IndexExpr| Box::new(e.substitute(axes));
        match self {
            IndexExpr::Axis(n) => axes[*n].clone(),
            IndexExpr::Const(c) => IndexExpr::Const(*c),
            IndexExpr::Add(a, b) => IndexExpr::Add(sub(a), sub(b)),
            IndexExpr::Mul(a, k) => IndexExpr::Mul(sub(a), *k),
            IndexExpr::Div(a, k) => IndexExpr::Div(sub(a), *k),
            IndexExpr::Mod(a, k) => IndexExpr::Mod(sub(a), *k),
        }
    }
}

/// Longest map of two views that become one. An index that names an axis twice doubles with every view behind it: a chain of
/// such views stays a chain.
const MAX_JOINED: usize = 256;

/// The map of the view `outer` of the view `inner` as a view of what `inner` looks at; `None` where it would be too long.
pub fn joined_views(inner: &[IndexExpr], outer: &[IndexExpr]) -> Option<Vec<IndexExpr>> {
    let joined: Vec<IndexExpr> = inner.iter().map(|e| e.substitute(outer)).collect();
    (joined.iter().map(IndexExpr::length).sum::<usize>() <= MAX_JOINED).then_some(joined)
}

/// A function of one (query, key) pair: the predicate or the score of [`crate::Op::Attend`].
///
/// Predicates have truth values; scores are real. Comparisons of positions are exact. Arithmetic is that of reals
/// also on positions and integer streams: a division is not rounded unless [`UnaryOp::Floor`] says so.
/// A score of minus infinity under softmax is the same as a key that is not seen.
#[derive(Clone, Debug, PartialEq)]
pub enum PairExpr {
    /// The scaled product `scale * q . k` of this head (only inside a score function).
    Score,
    /// Position of the query token in the sequence, in ticks of the attention's clock.
    QueryPos,
    /// Position of the key token in the sequence, in ticks of the attention's clock.
    KeyPos,
    /// Index of the query head.
    Head,
    /// Query stream `n` at the query token; a scalar stream, or one value per query head.
    QueryStream(usize),
    /// Key stream `n` at the key token, kept in the cache; a scalar stream, or one value per query head.
    KeyStream(usize),
    /// Entry of table `n` at as many indices as it has axes, each rounded down and clamped into its axis.
    Table(usize, Vec<PairExpr>),
    /// A number.
    Const(f64),
    /// Elementwise function.
    Unary(UnaryOp, Box<PairExpr>),
    /// Elementwise function or comparison.
    Binary(BinaryOp, Box<PairExpr>, Box<PairExpr>),
    /// `if c then a else b`.
    Select(Box<PairExpr>, Box<PairExpr>, Box<PairExpr>),
}
