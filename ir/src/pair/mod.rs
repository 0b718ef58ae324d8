//! Expressions over one (query, key) pair: the predicate and the score of an attention, and their one traversal.
//!
//! Whoever computes something from such an expression implements [`PairDomain`]: numbers, truth values that are known or
//! not, bounds of positions, types, nodes of a graph, generated code. Whoever only looks for something asks
//! [`PairExpr::any`] or [`PairExpr::leaves`]. No other code descends into the parts of an expression, but for its text form.

mod cases;
mod constant;
mod domain;
mod rational;

pub use cases::{Nan, by_cases};
pub use domain::PairDomain;
pub use rational::{Operand, Rational};

use crate::{BinaryOp, UnaryOp};

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
    /// Whether the operand is an entry of query stream `n`, a list of numbers `[n]`, or `[H, n]` with one for each query head.
    Listed(usize, Box<PairExpr>),
    /// The sum of a number over the keys that the query sees behind this one (only inside a score function; sums are not nested).
    After(Box<PairExpr>),
    /// A number.
    Const(f64),
    /// Elementwise function.
    Unary(UnaryOp, Box<PairExpr>),
    /// Elementwise function or comparison.
    Binary(BinaryOp, Box<PairExpr>, Box<PairExpr>),
    /// `if c then a else b`.
    Select(Box<PairExpr>, Box<PairExpr>, Box<PairExpr>),
}

/// A [`PairExpr`] without parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PairLeaf {
    /// [`PairExpr::Score`]
    Score,
    /// [`PairExpr::QueryPos`]
    QueryPos,
    /// [`PairExpr::KeyPos`]
    KeyPos,
    /// [`PairExpr::Head`]
    Head,
    /// [`PairExpr::QueryStream`]
    QueryStream(usize),
    /// [`PairExpr::KeyStream`]
    KeyStream(usize),
    /// [`PairExpr::Const`]
    Const(f64),
}

impl From<PairLeaf> for PairExpr {
    fn from(leaf: PairLeaf) -> PairExpr {
        match leaf {
            PairLeaf::Score => PairExpr::Score,
            PairLeaf::QueryPos => PairExpr::QueryPos,
            PairLeaf::KeyPos => PairExpr::KeyPos,
            PairLeaf::Head => PairExpr::Head,
            PairLeaf::QueryStream(n) => PairExpr::QueryStream(n),
            PairLeaf::KeyStream(n) => PairExpr::KeyStream(n),
            PairLeaf::Const(c) => PairExpr::Const(c),
        }
    }
}

impl PairExpr {
    /// `op(x)`
    pub fn unary(op: UnaryOp, x: PairExpr) -> PairExpr {
        PairExpr::Unary(op, Box::new(x))
    }

    /// `op(x, y)`
    pub fn binary(op: BinaryOp, x: PairExpr, y: PairExpr) -> PairExpr {
        PairExpr::Binary(op, Box::new(x), Box::new(y))
    }

    /// `if c then a else b`
    pub fn select(c: PairExpr, a: PairExpr, b: PairExpr) -> PairExpr {
        PairExpr::Select(Box::new(c), Box::new(a), Box::new(b))
    }

    /// The opposite of a truth value, without a double negation.
    pub fn negated(self) -> PairExpr {
        match self {
            PairExpr::Unary(UnaryOp::Not, x) => *x,
            x => PairExpr::unary(UnaryOp::Not, x),
        }
    }

    /// The expressions that this one is made of, in the order in which they are written.
    pub fn parts(&self) -> Vec<&PairExpr> {
        match self {
            PairExpr::Unary(_, x) | PairExpr::Listed(_, x) | PairExpr::After(x) => vec![x],
            PairExpr::Binary(_, x, y) => vec![x, y],
            PairExpr::Select(c, a, b) => vec![c, a, b],
            PairExpr::Table(_, indices) => indices.iter().collect(),
            PairExpr::Score
            | PairExpr::QueryPos
            | PairExpr::KeyPos
            | PairExpr::Head
            | PairExpr::QueryStream(_)
            | PairExpr::KeyStream(_)
            | PairExpr::Const(_) => Vec::new(),
        }
    }

    /// True when `test` holds for the expression or one that it is made of.
    pub fn any(&self, test: &dyn Fn(&PairExpr) -> bool) -> bool {
        test(self) || self.parts().into_iter().any(|part| part.any(test))
    }

    /// The largest parts for which `test` holds, from left to right.
    pub fn largest(&self, test: &dyn Fn(&PairExpr) -> bool) -> Vec<&PairExpr> {
        if test(self) {
            return vec![self];
        }
        self.parts().into_iter().flat_map(|part| part.largest(test)).collect()
    }

    /// The same expression for one query head.
    pub fn with_head(&self, head: usize) -> PairExpr {
        self.substitute(&|leaf| match leaf {
            PairLeaf::Head => PairExpr::Const(head as f64),
            other => other.into(),
        })
    }

    /// The truth values that must all hold for this one to hold: the parts of conjunctions.
    pub fn conjuncts(&self) -> Vec<&PairExpr> {
        self.joined_by(BinaryOp::And)
    }

    /// The truth values of which one must hold for this one to hold: the parts of disjunctions.
    pub fn disjuncts(&self) -> Vec<&PairExpr> {
        self.joined_by(BinaryOp::Or)
    }

    fn joined_by(&self, op: BinaryOp) -> Vec<&PairExpr> {
        let (mut found, mut work) = (Vec::new(), vec![self]);
        while let Some(expr) = work.pop() {
            match expr {
                PairExpr::Binary(joins, x, y) if *joins == op => work.extend([&**y, &**x]),
                other => found.push(other),
            }
        }
        found
    }

    /// Functions, choices and table entries in it.
    pub fn operations(&self) -> usize {
        let parts = self.parts();
        usize::from(!parts.is_empty()) + parts.into_iter().map(PairExpr::operations).sum::<usize>()
    }

    /// True when the query head occurs.
    pub fn uses_head(&self) -> bool {
        self.any(&|e| matches!(e, PairExpr::Head))
    }

    /// True when a table is read.
    pub fn uses_tables(&self) -> bool {
        self.any(&|e| matches!(e, PairExpr::Table(..)))
    }

    /// True when the query's lists are read.
    pub fn uses_lists(&self) -> bool {
        self.any(&|e| matches!(e, PairExpr::Listed(..)))
    }

    /// What is summed over the keys behind a key, each once, in the order in which it is written.
    pub fn sums_behind(&self) -> Vec<&PairExpr> {
        let mut found: Vec<&PairExpr> = Vec::new();
        for of in self
            .largest(&|e| matches!(e, PairExpr::After(_)))
            .into_iter()
            .flat_map(PairExpr::parts)
        {
            if !found.contains(&of) {
                found.push(of);
            }
        }
        found
    }

    /// True when a sum over the keys behind a key occurs.
    pub fn uses_sums_behind(&self) -> bool {
        self.any(&|e| matches!(e, PairExpr::After(_)))
    }

    /// True when streams, tables or the product of query and key occur: more than positions, heads and numbers.
    pub fn uses_data(&self) -> bool {
        self.any(&|e| {
            matches!(
                e,
                PairExpr::Score
                    | PairExpr::QueryStream(_)
                    | PairExpr::KeyStream(_)
                    | PairExpr::Table(..)
                    | PairExpr::Listed(..)
                    | PairExpr::After(_)
            )
        })
    }

    /// True when what the key brings along occurs: it is not known of a page of keys as a whole.
    pub fn uses_key_data(&self) -> bool {
        self.any(&|e| {
            matches!(
                e,
                PairExpr::Score | PairExpr::KeyStream(_) | PairExpr::Table(..) | PairExpr::After(_)
            )
        })
    }

    /// True for truth values.
    pub fn is_truth(&self) -> bool {
        match self {
            PairExpr::Listed(..) => true,
            PairExpr::Unary(op, _) => *op == UnaryOp::Not,
            PairExpr::Binary(op, ..) => op.is_predicate(),
            PairExpr::Select(_, a, _) => a.is_truth(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
