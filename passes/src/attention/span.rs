//! How far back attention can reach: what its cache must keep, read off the predicate.
//!
//! Only positions count; whatever depends on data gives no bound. The numbers are exact rationals, so that a bound is
//! never one token short.

mod affine;
mod keys;

pub use keys::AttentionSpan;

use affine::PairAffine;
use seqc_ir::{AttendSpec, BinaryOp, Nan, PairDomain, PairExpr, PairLeaf, UnaryOp, by_cases};

/// Positions are below this.
const LONGEST: u64 = 1 << 31;

impl AttentionSpan {
    /// What an attention with `heads` query heads must keep. Everything, when it is not causal or a policy decides what is kept.
    pub fn new(spec: &AttendSpec, heads: usize) -> AttentionSpan {
        match &spec.predicate {
            Some(predicate) if spec.causal && spec.policy.is_none() => AttentionSpan::of_predicate(predicate, heads),
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
}

impl AttentionSpan {
    /// The pairs within it as a predicate; `None` where it is everything.
    pub(super) fn predicate(&self) -> Option<PairExpr> {
        let age = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
        let near = PairExpr::binary(BinaryOp::Lt, age, PairExpr::Const(self.distance? as f64));
        Some(match self.first {
            0 => near,
            first => {
                let among_first = PairExpr::binary(BinaryOp::Lt, PairExpr::KeyPos, PairExpr::Const(first as f64));
                PairExpr::binary(BinaryOp::Or, near, among_first)
            }
        })
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

    fn listed(&mut self, _: usize, _: AttentionSpan) -> AttentionSpan {
        AttentionSpan::ALL
    }

    fn after(&mut self, _: AttentionSpan) -> AttentionSpan {
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
