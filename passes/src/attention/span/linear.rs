//! Numbers as linear functions of the two positions with a bounded rest, in exact integers.

use super::AttentionSpan;
use seqc_ir::{
    BinaryOp, PairExpr, UnaryOp,
    eval::{apply_binary, apply_unary},
};

/// Denominator by which constants that are no small fractions are enclosed.
const FINE: f64 = 1_048_576.0;
/// Constants beyond this are taken as unbounded.
const LARGE: f64 = 1e15;

/// `value * den = query * i + key * j + rest` with `low <= rest <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Linear {
    query: i128,
    key: i128,
    low: i128,
    high: i128,
    den: i128,
    /// The value is an integer.
    integral: bool,
    /// `value * den` is an integer.
    whole: bool,
}

impl Linear {
    /// The form of an expression, when it has one.
    pub(super) fn of(expr: &PairExpr) -> Option<Linear> {
        if let Some(c) = constant(expr) {
            return Linear::constant(c);
        }
        match expr {
            PairExpr::QueryPos => Some(Linear::position(1, 0)),
            PairExpr::KeyPos => Some(Linear::position(0, 1)),
            PairExpr::Unary(UnaryOp::Neg, x) => Linear::of(x)?.times(-1, 1),
            PairExpr::Unary(UnaryOp::Floor, x) => Linear::of(x)?.floor(),
            PairExpr::Binary(BinaryOp::Add, x, y) => Linear::of(x)?.minus(&Linear::of(y)?.times(-1, 1)?),
            PairExpr::Binary(BinaryOp::Sub, x, y) => Linear::of(x)?.minus(&Linear::of(y)?),
            PairExpr::Binary(BinaryOp::Mul, x, y) => match (constant(x), constant(y)) {
                (Some(c), _) => Linear::of(y)?.scaled(c, false),
                (_, Some(c)) => Linear::of(x)?.scaled(c, false),
                _ => None,
            },
            PairExpr::Binary(BinaryOp::Div, x, y) => Linear::of(x)?.scaled(constant(y)?, true),
            PairExpr::Binary(BinaryOp::Mod, x, y) => Linear::remainder(Linear::of(x), constant(y)?),
            _ => None,
        }
    }

    fn position(query: i128, key: i128) -> Linear {
        Linear {
            query,
            key,
            low: 0,
            high: 0,
            den: 1,
            integral: true,
            whole: true,
        }
    }

    fn constant(c: f64) -> Option<Linear> {
        if c.is_nan() || c.abs() > LARGE {
            return None;
        }
        let scaled = c * FINE;
        let whole = scaled.fract() == 0.0;
        let integral = c.fract() == 0.0;
        let (low, high, den) = if integral {
            (c as i128, c as i128, 1)
        } else {
            (scaled.floor() as i128, scaled.ceil() as i128, FINE as i128)
        };
        Some(Linear {
            low,
            high,
            den,
            integral,
            whole,
            ..Linear::position(0, 0)
        })
    }

    /// Some number of `0..m` (or `m..0`): what is known of a remainder.
    fn remainder(x: Option<Linear>, m: f64) -> Option<Linear> {
        let bound = Linear::constant(m)?;
        if m == 0.0 || !bound.integral {
            return None;
        }
        let integral = x.is_some_and(|x| x.integral);
        let last = if integral {
            bound.low - bound.low.signum()
        } else {
            bound.low
        };
        Some(Linear {
            low: last.min(0),
            high: last.max(0),
            integral,
            whole: integral,
            ..Linear::position(0, 0)
        })
    }

    /// Times `up / down`, `down` positive.
    fn times(&self, up: i128, down: i128) -> Option<Linear> {
        let (a, b) = (self.low.checked_mul(up)?, self.high.checked_mul(up)?);
        Some(Linear {
            query: self.query.checked_mul(up)?,
            key: self.key.checked_mul(up)?,
            low: a.min(b),
            high: a.max(b),
            den: self.den.checked_mul(down)?,
            integral: self.integral && down == 1,
            whole: self.whole,
        })
    }

    /// Times a constant, or divided by it; only where the constant is a small fraction.
    fn scaled(&self, c: f64, divide: bool) -> Option<Linear> {
        let c = Linear::constant(c)?;
        let exact = c.low == c.high && c.whole;
        if !exact || (divide && c.low == 0) {
            return None;
        }
        if divide {
            self.times(c.den * c.low.signum(), c.low.abs())
        } else {
            self.times(c.low, c.den)
        }
    }

    /// `self - other`
    pub(super) fn minus(&self, other: &Linear) -> Option<Linear> {
        let (a, b) = if self.den == other.den {
            (*self, *other)
        } else {
            (self.over(other.den)?, other.over(self.den)?)
        };
        Some(Linear {
            query: a.query.checked_sub(b.query)?,
            key: a.key.checked_sub(b.key)?,
            low: a.low.checked_sub(b.high)?,
            high: a.high.checked_sub(b.low)?,
            den: a.den,
            integral: a.integral && b.integral,
            whole: a.whole && b.whole,
        })
    }

    /// The same value with `factor` times the denominator.
    fn over(&self, factor: i128) -> Option<Linear> {
        let scaled = self.times(factor, factor)?;
        Some(Linear {
            integral: self.integral,
            ..scaled
        })
    }

    fn floor(&self) -> Option<Linear> {
        if self.integral {
            return Some(*self);
        }
        let lost = if self.whole { self.den - 1 } else { self.den };
        Some(Linear {
            low: self.low.checked_sub(lost)?,
            integral: true,
            whole: true,
            ..*self
        })
    }

    /// The pairs `i >= j >= 0` where the value is at most zero, or below it.
    pub(super) fn not_positive(&self, strict: bool) -> AttentionSpan {
        // A negative integer is at most -1.
        let (gap, strict) = match (strict, self.integral, self.whole) {
            (true, true, _) => (self.den, false),
            (true, _, true) => (1, false),
            (strict, ..) => (0, strict),
        };
        let Some(low) = self.low.checked_add(gap) else {
            return AttentionSpan::ALL;
        };
        // With i = j + d: far * d + late * j + low <= 0.
        let (far, late) = (self.query, self.query + self.key);
        let below = |factor: i128| {
            let (limit, rest) = ((-low).div_euclid(factor), (-low).rem_euclid(factor));
            let count = if strict && rest == 0 { limit } else { limit + 1 };
            u64::try_from(count.max(0)).ok()
        };
        match (far.signum(), late.signum()) {
            (1, 0 | 1) => AttentionSpan {
                distance: below(far),
                first: 0,
            },
            (0, 1) => below(late).map_or(AttentionSpan::ALL, |first| AttentionSpan {
                distance: Some(0),
                first,
            }),
            (0, 0) if low > 0 || (strict && low == 0) => AttentionSpan::NONE,
            _ => AttentionSpan::ALL,
        }
    }
}

/// The value of an expression of constants.
fn constant(expr: &PairExpr) -> Option<f64> {
    match expr {
        PairExpr::Const(c) => Some(*c),
        PairExpr::Unary(op, x) => Some(apply_unary(*op, constant(x)?)),
        PairExpr::Binary(op, x, y) => Some(apply_binary(*op, false, constant(x)?, constant(y)?)),
        PairExpr::Select(c, a, b) => constant(if constant(c)? != 0.0 { a } else { b }),
        _ => None,
    }
}
