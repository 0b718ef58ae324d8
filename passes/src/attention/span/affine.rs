//! Numbers as affine functions of the two positions with a bounded rest, in exact integers.

use super::keys::AttentionSpan;
use seqc_ir::{BinaryOp, Operand, PairDomain, PairExpr, PairLeaf, Rational, UnaryOp};

/// Denominator by which constants that are no small fractions are enclosed.
const FINE: f64 = 1_048_576.0;
/// Constants beyond this are taken as unbounded.
const LARGE: f64 = 1e15;

/// `value * den = query * i + key * j + rest` with `low <= rest <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PairAffine {
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

/// Evaluates expressions to [`PairAffine`].
struct Positions;

impl PairDomain for Positions {
    type Value = Operand<PairAffine>;

    fn value(&mut self, expr: &PairExpr) -> Operand<PairAffine> {
        expr.constant().map_or_else(|| self.of_parts(expr), Operand::Const)
    }

    fn leaf(&mut self, leaf: PairLeaf) -> Operand<PairAffine> {
        match leaf {
            PairLeaf::QueryPos => Operand::Number(PairAffine::position(1, 0)),
            PairLeaf::KeyPos => Operand::Number(PairAffine::position(0, 1)),
            PairLeaf::Const(c) => Operand::Const(c),
            PairLeaf::Score | PairLeaf::Head | PairLeaf::QueryStream(_) | PairLeaf::KeyStream(_) => Operand::Other,
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Operand<PairAffine>) -> Operand<PairAffine> {
        let x = self.number(x).and_then(|x| self.exact_unary(op, x));
        x.map_or(Operand::Other, Operand::Number)
    }

    fn binary(&mut self, op: BinaryOp, x: Operand<PairAffine>, y: Operand<PairAffine>) -> Operand<PairAffine> {
        self.exact_binary(op, x, y).map_or(Operand::Other, Operand::Number)
    }

    fn select(&mut self, _: Self::Value, _: Self::Value, _: Self::Value) -> Operand<PairAffine> {
        Operand::Other
    }

    fn table(&mut self, _: usize, _: Vec<Operand<PairAffine>>) -> Operand<PairAffine> {
        Operand::Other
    }

    fn listed(&mut self, _: usize, _: Operand<PairAffine>) -> Operand<PairAffine> {
        Operand::Other
    }

    fn after(&mut self, _: Operand<PairAffine>) -> Operand<PairAffine> {
        Operand::Other
    }
}

impl Rational for Positions {
    type Number = PairAffine;

    fn constant(&mut self, c: f64) -> Option<PairAffine> {
        PairAffine::constant(c)
    }

    /// Only what is exact.
    fn fraction(&self, c: f64) -> Option<(i64, i64)> {
        let c = PairAffine::constant(c).filter(|c| c.low == c.high && c.whole)?;
        Some((i64::try_from(c.low).ok()?, i64::try_from(c.den).ok()?))
    }

    fn times(&mut self, x: PairAffine, up: i64, down: i64) -> Option<PairAffine> {
        x.times(up.into(), down.into())
    }

    fn plus(&mut self, x: PairAffine, y: PairAffine) -> Option<PairAffine> {
        x.minus(&y.times(-1, 1)?)
    }

    fn minus(&mut self, x: PairAffine, y: PairAffine) -> Option<PairAffine> {
        x.minus(&y)
    }

    fn floor(&mut self, x: PairAffine) -> Option<PairAffine> {
        if x.integral {
            return Some(x);
        }
        let lost = if x.whole { x.den - 1 } else { x.den };
        Some(PairAffine {
            low: x.low.checked_sub(lost)?,
            integral: true,
            whole: true,
            ..x
        })
    }

    /// Some number of `0..m` (or `m..0`): that is known of any remainder.
    fn remainder(&mut self, x: Operand<PairAffine>, m: f64) -> Option<PairAffine> {
        let bound = PairAffine::constant(m)?;
        if m == 0.0 || !bound.integral {
            return None;
        }
        let integral = self.number(x).is_some_and(|x| x.integral);
        let last = if integral {
            bound.low - bound.low.signum()
        } else {
            bound.low
        };
        Some(PairAffine {
            low: last.min(0),
            high: last.max(0),
            integral,
            whole: integral,
            ..PairAffine::position(0, 0)
        })
    }
}

impl PairAffine {
    /// The form of an expression, when it has one.
    pub(super) fn of(expr: &PairExpr) -> Option<PairAffine> {
        let value = Positions.value(expr);
        Positions.number(value)
    }

    fn position(query: i128, key: i128) -> PairAffine {
        PairAffine {
            query,
            key,
            low: 0,
            high: 0,
            den: 1,
            integral: true,
            whole: true,
        }
    }

    fn constant(c: f64) -> Option<PairAffine> {
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
        Some(PairAffine {
            low,
            high,
            den,
            integral,
            whole,
            ..PairAffine::position(0, 0)
        })
    }

    /// Times `up / down`, `down` positive.
    fn times(&self, up: i128, down: i128) -> Option<PairAffine> {
        let (a, b) = (self.low.checked_mul(up)?, self.high.checked_mul(up)?);
        Some(PairAffine {
            query: self.query.checked_mul(up)?,
            key: self.key.checked_mul(up)?,
            low: a.min(b),
            high: a.max(b),
            den: self.den.checked_mul(down)?,
            integral: self.integral && down == 1,
            whole: self.whole,
        })
    }

    /// `self - other`
    pub(super) fn minus(&self, other: &PairAffine) -> Option<PairAffine> {
        let (a, b) = if self.den == other.den {
            (*self, *other)
        } else {
            (self.over(other.den)?, other.over(self.den)?)
        };
        Some(PairAffine {
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
    fn over(&self, factor: i128) -> Option<PairAffine> {
        let scaled = self.times(factor, factor)?;
        Some(PairAffine {
            integral: self.integral,
            ..scaled
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
