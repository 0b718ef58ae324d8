//! How far back attention can reach: what its cache must keep, read off the predicate.
//!
//! Only positions count; whatever depends on data gives no bound. The numbers are exact rationals, so that a bound is
//! never one token short.

mod linear;

use linear::Linear;
use seqc_ir::{AttendSpec, BinaryOp, PairExpr, UnaryOp};

/// Positions are below this.
const LONGEST: u64 = 1 << 31;

/// Which keys some later query can still see: key `j` is seen by query `i >= j` only if `i - j < distance`
/// or `j < first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSpan {
    /// Tokens back from the query, itself included; `None`: any distance.
    pub distance: Option<u64>,
    /// Tokens from the beginning of the sequence.
    pub first: u64,
}

impl AttentionSpan {
    /// Everything.
    pub const ALL: AttentionSpan = AttentionSpan {
        distance: None,
        first: 0,
    };
    /// Nothing.
    pub const NONE: AttentionSpan = AttentionSpan {
        distance: Some(0),
        first: 0,
    };

    /// What an attention with `heads` query heads must keep. Everything, when it is not causal.
    pub fn new(spec: &AttendSpec, heads: usize) -> AttentionSpan {
        match &spec.predicate {
            Some(predicate) if spec.causal => AttentionSpan::of_predicate(predicate, heads),
            _ => AttentionSpan::ALL,
        }
    }

    /// The same from a predicate alone, under causality.
    pub fn of_predicate(predicate: &PairExpr, heads: usize) -> AttentionSpan {
        let keep = if uses_head(predicate) {
            let of_head = |h| when(&with_head(predicate, h as f64), true);
            (0..heads).map(of_head).fold(AttentionSpan::NONE, AttentionSpan::or)
        } else {
            when(predicate, true)
        };
        // No sequence is that long.
        if keep.tokens() < LONGEST {
            keep
        } else {
            AttentionSpan::ALL
        }
    }

    /// Most tokens that are kept, if there is a bound.
    pub fn limit(&self) -> Option<u64> {
        self.distance.map(|distance| distance.saturating_add(self.first))
    }

    /// Closed form of the number of kept tokens in the context length `T`.
    pub fn bound(&self) -> String {
        match (self.first, self.distance) {
            (_, None) => "T".to_owned(),
            (0, Some(0)) => "0".to_owned(),
            (0, Some(distance)) => format!("min(T, {distance})"),
            (first, Some(0)) => format!("min(T, {first})"),
            (first, Some(distance)) => format!("min(T, {first} + {distance})"),
        }
    }

    /// Pairs in either set.
    fn or(self, other: AttentionSpan) -> AttentionSpan {
        AttentionSpan {
            distance: self.distance.zip(other.distance).map(|(a, b)| a.max(b)),
            first: self.first.max(other.first),
        }
    }

    /// Pairs in both sets: each alone is a bound, and so are the shorter distance and the longer beginning.
    fn and(self, other: AttentionSpan) -> AttentionSpan {
        let shorter = match (self.distance, other.distance) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mixed = AttentionSpan {
            distance: shorter,
            first: self.first.max(other.first),
        };
        [self, other].into_iter().fold(
            mixed,
            |best, keep| if keep.tokens() < best.tokens() { keep } else { best },
        )
    }

    fn tokens(&self) -> u64 {
        self.distance.map_or(u64::MAX, |d| d.saturating_add(self.first))
    }
}

/// The pairs where a truth value is `want`.
fn when(expr: &PairExpr, want: bool) -> AttentionSpan {
    match expr {
        PairExpr::Const(c) if (*c != 0.0) == want => AttentionSpan::ALL,
        PairExpr::Const(_) => AttentionSpan::NONE,
        PairExpr::Unary(UnaryOp::Not, x) => when(x, !want),
        PairExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
            let (x, y) = (when(x, want), when(y, want));
            if (*op == BinaryOp::And) == want {
                x.and(y)
            } else {
                x.or(y)
            }
        }
        PairExpr::Binary(op, x, y) => match (want, Relation::of(*op)) {
            (_, None) => AttentionSpan::ALL,
            (true, Some(relation)) => compare(relation, x, y),
            (false, Some(relation)) => compare(relation.negated(), x, y),
        },
        PairExpr::Select(c, a, b) => {
            let (a, b) = (when(c, true).and(when(a, want)), when(c, false).and(when(b, want)));
            a.or(b)
        }
        _ => AttentionSpan::ALL,
    }
}

/// A comparison with zero or between two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

impl Relation {
    fn of(op: BinaryOp) -> Option<Relation> {
        Some(match op {
            BinaryOp::Lt => Relation::Lt,
            BinaryOp::Le => Relation::Le,
            BinaryOp::Gt => Relation::Gt,
            BinaryOp::Ge => Relation::Ge,
            BinaryOp::Eq => Relation::Eq,
            BinaryOp::Ne => Relation::Ne,
            _ => return None,
        })
    }

    fn negated(self) -> Relation {
        match self {
            Relation::Lt => Relation::Ge,
            Relation::Le => Relation::Gt,
            Relation::Gt => Relation::Le,
            Relation::Ge => Relation::Lt,
            Relation::Eq => Relation::Ne,
            Relation::Ne => Relation::Eq,
        }
    }

    /// With its sides exchanged.
    fn turned(self) -> Relation {
        match self {
            Relation::Lt => Relation::Gt,
            Relation::Le => Relation::Ge,
            Relation::Gt => Relation::Lt,
            Relation::Ge => Relation::Le,
            same => same,
        }
    }
}

/// The pairs where `x relation y`.
fn compare(relation: Relation, x: &PairExpr, y: &PairExpr) -> AttentionSpan {
    match relation {
        Relation::Eq => return compare(Relation::Le, x, y).and(compare(Relation::Ge, x, y)),
        Relation::Ne => return compare(Relation::Lt, x, y).or(compare(Relation::Gt, x, y)),
        _ => {}
    }
    if let Some(keep) = by_cases(relation, x, y).or_else(|| by_cases(relation.turned(), y, x)) {
        return keep;
    }
    let (Some(x), Some(y)) = (Linear::of(x), Linear::of(y)) else {
        return AttentionSpan::ALL;
    };
    let difference = match relation {
        Relation::Lt | Relation::Le => x.minus(&y),
        _ => y.minus(&x),
    };
    let strict = matches!(relation, Relation::Lt | Relation::Gt);
    difference.map_or(AttentionSpan::ALL, |d| d.not_positive(strict))
}

/// `x relation y` for an order relation and an `x` that is one of several expressions.
fn by_cases(relation: Relation, x: &PairExpr, y: &PairExpr) -> Option<AttentionSpan> {
    let below = matches!(relation, Relation::Lt | Relation::Le);
    match x {
        PairExpr::Binary(op @ (BinaryOp::Min | BinaryOp::Max), a, b) => {
            let (a, b) = (compare(relation, a, y), compare(relation, b, y));
            // The smaller one is below where either is, above where both are.
            Some(if (*op == BinaryOp::Min) == below {
                a.or(b)
            } else {
                a.and(b)
            })
        }
        PairExpr::Unary(UnaryOp::Abs, a) => {
            let minus = PairExpr::Unary(UnaryOp::Neg, a.clone());
            let (a, b) = (compare(relation, a, y), compare(relation, &minus, y));
            Some(if below { a.and(b) } else { a.or(b) })
        }
        PairExpr::Select(c, a, b) => {
            let a = when(c, true).and(compare(relation, a, y));
            Some(a.or(when(c, false).and(compare(relation, b, y))))
        }
        _ => None,
    }
}

fn uses_head(expr: &PairExpr) -> bool {
    match expr {
        PairExpr::Head => true,
        PairExpr::Unary(_, x) => uses_head(x),
        PairExpr::Binary(_, x, y) => uses_head(x) || uses_head(y),
        PairExpr::Select(c, x, y) => uses_head(c) || uses_head(x) || uses_head(y),
        PairExpr::Table(_, indices) => indices.iter().any(uses_head),
        _ => false,
    }
}

fn with_head(expr: &PairExpr, head: f64) -> PairExpr {
    let sub = |e: &PairExpr| Box::new(with_head(e, head));
    match expr {
        PairExpr::Head => PairExpr::Const(head),
        PairExpr::Unary(op, x) => PairExpr::Unary(*op, sub(x)),
        PairExpr::Binary(op, x, y) => PairExpr::Binary(*op, sub(x), sub(y)),
        PairExpr::Select(c, x, y) => PairExpr::Select(sub(c), sub(x), sub(y)),
        PairExpr::Table(n, indices) => {
            PairExpr::Table(*n, indices.iter().map(|index| with_head(index, head)).collect())
        }
        leaf => leaf.clone(),
    }
}

#[cfg(test)]
mod tests;
