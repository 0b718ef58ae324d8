//! How far back attention can reach: what its cache must keep, read off the predicate.
//!
//! Only positions count; whatever depends on data gives no bound. The numbers are exact rationals, so that a bound is
//! never one token short.

mod linear;

use linear::Linear;
use seqc_ir::{AttendSpec, BinaryOp, ScoreExpr, UnaryOp};

/// Positions are below this.
const LONGEST: u64 = 1 << 31;

/// Which keys some later query can still see: key `j` is seen by query `i >= j` only if `i - j < distance`
/// or `j < first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Tokens back from the query, itself included; `None`: any distance.
    pub distance: Option<u64>,
    /// Tokens from the beginning of the sequence.
    pub first: u64,
}

impl Keep {
    /// Everything.
    pub const ALL: Keep = Keep {
        distance: None,
        first: 0,
    };
    /// Nothing.
    pub const NONE: Keep = Keep {
        distance: Some(0),
        first: 0,
    };

    /// What an attention with `heads` query heads must keep. Everything, when it is not causal.
    pub fn new(spec: &AttendSpec, heads: usize) -> Keep {
        match &spec.predicate {
            Some(predicate) if spec.causal => Keep::of_predicate(predicate, heads),
            _ => Keep::ALL,
        }
    }

    /// The same from a predicate alone, under causality.
    pub fn of_predicate(predicate: &ScoreExpr, heads: usize) -> Keep {
        let keep = if uses_head(predicate) {
            let of_head = |h| when(&with_head(predicate, h as f64), true);
            (0..heads).map(of_head).fold(Keep::NONE, Keep::or)
        } else {
            when(predicate, true)
        };
        // No sequence is that long.
        if keep.tokens() < LONGEST { keep } else { Keep::ALL }
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
    fn or(self, other: Keep) -> Keep {
        Keep {
            distance: self.distance.zip(other.distance).map(|(a, b)| a.max(b)),
            first: self.first.max(other.first),
        }
    }

    /// Pairs in both sets: each alone is a bound, and so are the shorter distance and the longer beginning.
    fn and(self, other: Keep) -> Keep {
        let shorter = match (self.distance, other.distance) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mixed = Keep {
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
fn when(expr: &ScoreExpr, want: bool) -> Keep {
    match expr {
        ScoreExpr::Const(c) if (*c != 0.0) == want => Keep::ALL,
        ScoreExpr::Const(_) => Keep::NONE,
        ScoreExpr::Unary(UnaryOp::Not, x) => when(x, !want),
        ScoreExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
            let (x, y) = (when(x, want), when(y, want));
            if (*op == BinaryOp::And) == want {
                x.and(y)
            } else {
                x.or(y)
            }
        }
        ScoreExpr::Binary(op, x, y) => match (want, Relation::of(*op)) {
            (_, None) => Keep::ALL,
            (true, Some(relation)) => compare(relation, x, y),
            (false, Some(relation)) => compare(relation.negated(), x, y),
        },
        ScoreExpr::Select(c, a, b) => {
            let (a, b) = (when(c, true).and(when(a, want)), when(c, false).and(when(b, want)));
            a.or(b)
        }
        _ => Keep::ALL,
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
fn compare(relation: Relation, x: &ScoreExpr, y: &ScoreExpr) -> Keep {
    match relation {
        Relation::Eq => return compare(Relation::Le, x, y).and(compare(Relation::Ge, x, y)),
        Relation::Ne => return compare(Relation::Lt, x, y).or(compare(Relation::Gt, x, y)),
        _ => {}
    }
    if let Some(keep) = by_cases(relation, x, y).or_else(|| by_cases(relation.turned(), y, x)) {
        return keep;
    }
    let (Some(x), Some(y)) = (Linear::of(x), Linear::of(y)) else {
        return Keep::ALL;
    };
    let difference = match relation {
        Relation::Lt | Relation::Le => x.minus(&y),
        _ => y.minus(&x),
    };
    let strict = matches!(relation, Relation::Lt | Relation::Gt);
    difference.map_or(Keep::ALL, |d| d.not_positive(strict))
}

/// `x relation y` for an order relation and an `x` that is one of several expressions.
fn by_cases(relation: Relation, x: &ScoreExpr, y: &ScoreExpr) -> Option<Keep> {
    let below = matches!(relation, Relation::Lt | Relation::Le);
    match x {
        ScoreExpr::Binary(op @ (BinaryOp::Min | BinaryOp::Max), a, b) => {
            let (a, b) = (compare(relation, a, y), compare(relation, b, y));
            // The smaller one is below where either is, above where both are.
            Some(if (*op == BinaryOp::Min) == below {
                a.or(b)
            } else {
                a.and(b)
            })
        }
        ScoreExpr::Unary(UnaryOp::Abs, a) => {
            let minus = ScoreExpr::Unary(UnaryOp::Neg, a.clone());
            let (a, b) = (compare(relation, a, y), compare(relation, &minus, y));
            Some(if below { a.and(b) } else { a.or(b) })
        }
        ScoreExpr::Select(c, a, b) => {
            let a = when(c, true).and(compare(relation, a, y));
            Some(a.or(when(c, false).and(compare(relation, b, y))))
        }
        _ => None,
    }
}

fn uses_head(expr: &ScoreExpr) -> bool {
    match expr {
        ScoreExpr::Head => true,
        ScoreExpr::Unary(_, x) => uses_head(x),
        ScoreExpr::Binary(_, x, y) => uses_head(x) || uses_head(y),
        ScoreExpr::Select(c, x, y) => uses_head(c) || uses_head(x) || uses_head(y),
        ScoreExpr::Table(_, indices) => indices.iter().any(uses_head),
        _ => false,
    }
}

fn with_head(expr: &ScoreExpr, head: f64) -> ScoreExpr {
    let sub = |e: &ScoreExpr| Box::new(with_head(e, head));
    match expr {
        ScoreExpr::Head => ScoreExpr::Const(head),
        ScoreExpr::Unary(op, x) => ScoreExpr::Unary(*op, sub(x)),
        ScoreExpr::Binary(op, x, y) => ScoreExpr::Binary(*op, sub(x), sub(y)),
        ScoreExpr::Select(c, x, y) => ScoreExpr::Select(sub(c), sub(x), sub(y)),
        ScoreExpr::Table(n, indices) => {
            ScoreExpr::Table(*n, indices.iter().map(|index| with_head(index, head)).collect())
        }
        leaf => leaf.clone(),
    }
}

#[cfg(test)]
mod tests;
