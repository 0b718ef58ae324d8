//! How far back attention can reach: what its cache must keep, read off the predicate.
//!
//! Only positions count; whatever depends on data gives no bound. The numbers are exact rationals, so that a bound is
//! never one token short.

mod affine;

use affine::PairAffine;
use seqc_ir::{AttendSpec, BinaryOp, Nan, PairDomain, PairExpr, PairLeaf, UnaryOp, by_cases};

/// Positions are below this.
const LONGEST: u64 = 1 << 31;

/// Which keys some later query can still see: key `j` is seen by query `i >= j` only if `i - j < distance`
/// or `j < first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        let span = if predicate.uses_head() {
            let of_head = |h| Seen::when(&predicate.with_head(h));
            (0..heads).map(of_head).fold(AttentionSpan::NONE, AttentionSpan::or)
        } else {
            Seen::when(predicate)
        };
        // No sequence is that long.
        if span.tokens() < LONGEST {
            span
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
            |best, span| if span.tokens() < best.tokens() { span } else { best },
        )
    }

    fn tokens(&self) -> u64 {
        self.distance.map_or(u64::MAX, |d| d.saturating_add(self.first))
    }
}

/// Evaluates truth values to bounds of the pairs where they are `want`.
struct Seen {
    want: bool,
}

impl Seen {
    /// Bounds of the pairs where a predicate holds.
    fn when(predicate: &PairExpr) -> AttentionSpan {
        Seen { want: true }.value(predicate)
    }

    /// Bounds of the pairs where `op(x, y)` for a comparison.
    fn compare(&mut self, op: BinaryOp, x: &PairExpr, y: &PairExpr) -> AttentionSpan {
        match op {
            BinaryOp::Eq => {
                let least = self.compare(BinaryOp::Le, x, y);
                return least.and(self.compare(BinaryOp::Ge, x, y));
            }
            BinaryOp::Ne => {
                let less = self.compare(BinaryOp::Lt, x, y);
                return less.or(self.compare(BinaryOp::Gt, x, y));
            }
            _ => {}
        }
        if let Some(cases) = by_cases(op, x, y, Nan::Unordered).or_else(|| by_choice(op, x, y)) {
            return Seen::when(&cases);
        }
        let (Some(x), Some(y)) = (PairAffine::of(x), PairAffine::of(y)) else {
            return AttentionSpan::ALL;
        };
        let difference = match op {
            BinaryOp::Lt | BinaryOp::Le => x.minus(&y),
            _ => y.minus(&x),
        };
        let strict = matches!(op, BinaryOp::Lt | BinaryOp::Gt);
        difference.map_or(AttentionSpan::ALL, |d| d.not_positive(strict))
    }
}

impl PairDomain for Seen {
    type Value = AttentionSpan;

    fn value(&mut self, expr: &PairExpr) -> AttentionSpan {
        match expr {
            PairExpr::Unary(UnaryOp::Not, x) => Seen { want: !self.want }.value(x),
            PairExpr::Binary(op, x, y) => match op.opposite() {
                Some(opposite) => self.compare(if self.want { *op } else { opposite }, x, y),
                None => self.of_parts(expr),
            },
            PairExpr::Select(c, a, b) => {
                let wanted = |e: &PairExpr| if self.want { e.clone() } else { e.clone().negated() };
                Seen::when(&choice(c, wanted(a), wanted(b)))
            }
            _ => self.of_parts(expr),
        }
    }

    fn leaf(&mut self, leaf: PairLeaf) -> AttentionSpan {
        match leaf {
            PairLeaf::Const(c) if (c != 0.0) != self.want => AttentionSpan::NONE,
            _ => AttentionSpan::ALL,
        }
    }

    fn unary(&mut self, _: UnaryOp, _: AttentionSpan) -> AttentionSpan {
        AttentionSpan::ALL
    }

    fn binary(&mut self, op: BinaryOp, x: AttentionSpan, y: AttentionSpan) -> AttentionSpan {
        match (op, self.want) {
            (BinaryOp::And, true) | (BinaryOp::Or, false) => x.and(y),
            (BinaryOp::Or, true) | (BinaryOp::And, false) => x.or(y),
            _ => AttentionSpan::ALL,
        }
    }

    fn select(&mut self, _: AttentionSpan, then: AttentionSpan, otherwise: AttentionSpan) -> AttentionSpan {
        then.or(otherwise)
    }

    fn table(&mut self, _: usize, _: Vec<AttentionSpan>) -> AttentionSpan {
        AttentionSpan::ALL
    }
}

/// `op(x, y)` where one side is a choice, as a choice between comparisons.
fn by_choice(op: BinaryOp, x: &PairExpr, y: &PairExpr) -> Option<PairExpr> {
    let order = |x: &PairExpr, y: &PairExpr| PairExpr::binary(op, x.clone(), y.clone());
    match (x, y) {
        (PairExpr::Select(c, a, b), _) => Some(choice(c, order(a, y), order(b, y))),
        (_, PairExpr::Select(c, a, b)) => Some(choice(c, order(x, a), order(x, b))),
        _ => None,
    }
}

/// `if c then a else b` of truth values in terms of the other operations.
fn choice(c: &PairExpr, a: PairExpr, b: PairExpr) -> PairExpr {
    let then = PairExpr::binary(BinaryOp::And, c.clone(), a);
    let otherwise = PairExpr::binary(BinaryOp::And, c.clone().negated(), b);
    PairExpr::binary(BinaryOp::Or, then, otherwise)
}

#[cfg(test)]
mod tests;
