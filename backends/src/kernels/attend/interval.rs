//! Predicates over a rectangle of queries and keys: seen by all, or by none.
//!
//! Interval arithmetic on positions and query streams, on scalars; what depends on the data of keys is never decided. A rectangle that no query
//! sees is not visited, one that all see needs no mask.

use super::{
    score_lowering::{by_cases, comparison, fraction, turned, whole_bound},
    table::{Tables, constant, is_truth},
};
use crate::kernel::{Cmp, Func, Val};
use seqc_ir::{BinaryOp, PairExpr, UnaryOp};

/// Denominators and factors stay below this.
const SMALL: i64 = 1 << 20;

/// A truth value, known when compiling or not.
#[derive(Clone, Copy)]
pub(super) enum Bit {
    Known(bool),
    Val(Val),
}

impl Bit {
    pub(super) fn and(self, f: &mut Func, other: Bit) -> Bit {
        match (self, other) {
            (Bit::Known(true), x) | (x, Bit::Known(true)) => x,
            (Bit::Known(false), _) | (_, Bit::Known(false)) => Bit::Known(false),
            (Bit::Val(a), Bit::Val(b)) => Bit::Val(f.and(a, b)),
        }
    }

    pub(super) fn or(self, f: &mut Func, other: Bit) -> Bit {
        match (self, other) {
            (Bit::Known(false), x) | (x, Bit::Known(false)) => x,
            (Bit::Known(true), _) | (_, Bit::Known(true)) => Bit::Known(true),
            (Bit::Val(a), Bit::Val(b)) => Bit::Val(f.or(a, b)),
        }
    }

    pub(super) fn val(self, f: &mut Func) -> Val {
        match self {
            Bit::Known(b) => f.i1(b),
            Bit::Val(v) => v,
        }
    }
}

/// Whether a truth value is true everywhere, or false everywhere.
#[derive(Clone, Copy)]
pub(super) struct Decision {
    pub(super) all: Bit,
    pub(super) none: Bit,
}

impl Decision {
    const OPEN: Decision = Decision {
        all: Bit::Known(false),
        none: Bit::Known(false),
    };

    fn not(self) -> Decision {
        Decision {
            all: self.none,
            none: self.all,
        }
    }

    pub(super) fn and(self, f: &mut Func, other: Decision) -> Decision {
        Decision {
            all: self.all.and(f, other.all),
            none: self.none.or(f, other.none),
        }
    }

    fn or(self, f: &mut Func, other: Decision) -> Decision {
        let both = self.not().and(f, other.not());
        both.not()
    }
}

/// `low / den <= value <= high / den`; the value times `den` is an integer.
#[derive(Clone, Copy)]
struct Range {
    low: Val,
    high: Val,
    /// Factors that went into the ends, so that they stay far from overflow.
    factor: i64,
    den: i64,
}

/// A rectangle of queries and keys; all numbers i64, ends included.
pub(super) struct Span<'a> {
    pub(super) tables: &'a Tables,
    pub(super) query: (Val, Val),
    pub(super) key: (Val, Val),
    /// Key head, and the query heads that share it.
    pub(super) group: Val,
    pub(super) head: (Val, Val),
    /// Whole numbers around each query stream, where there are any.
    pub(super) streams: Vec<Option<(Val, Val)>>,
}

impl Span<'_> {
    /// What is known of a predicate.
    pub(super) fn decide(&self, f: &mut Func, expr: &PairExpr) -> Decision {
        if let Some(c) = constant(expr) {
            return Decision {
                all: Bit::Known(c != 0.0),
                none: Bit::Known(c == 0.0),
            };
        }
        match expr {
            PairExpr::Unary(UnaryOp::Not, x) => self.decide(f, x).not(),
            PairExpr::Binary(BinaryOp::And, x, y) => {
                let (x, y) = (self.decide(f, x), self.decide(f, y));
                x.and(f, y)
            }
            PairExpr::Binary(BinaryOp::Or, x, y) => {
                let (x, y) = (self.decide(f, x), self.decide(f, y));
                x.or(f, y)
            }
            PairExpr::Select(c, a, b) if is_truth(a) => {
                let (c, a, b) = (self.decide(f, c), self.decide(f, a), self.decide(f, b));
                let (then, otherwise) = (c.and(f, a), c.not().and(f, b));
                then.or(f, otherwise)
            }
            PairExpr::Binary(op, x, y) => match comparison(*op) {
                Some(cmp) => self.comparison(f, (*op, cmp), (x, y)),
                None => Decision::OPEN,
            },
            _ => Decision::OPEN,
        }
    }

    fn comparison(&self, f: &mut Func, (op, cmp): (BinaryOp, Cmp), (x, y): (&PairExpr, &PairExpr)) -> Decision {
        if let Some(cases) = by_cases(op, x, y, false) {
            return self.decide(f, &cases);
        }
        if let Some(c) = constant(y) {
            return self.against(f, cmp, x, c);
        }
        if let Some(c) = constant(x) {
            return self.against(f, turned(cmp), y, c);
        }
        let separate = (self.range(f, x), self.range(f, y));
        let (Some(x), Some(y)) = separate else {
            return Decision::OPEN;
        };
        if matches!(cmp, Cmp::Eq | Cmp::Ne) {
            return equal(f, cmp, x, y);
        }
        let Some(d) = plus(f, x, y, true) else {
            return Decision::OPEN;
        };
        let zero = f.i64(0);
        order(f, cmp, d, zero)
    }

    fn against(&self, f: &mut Func, cmp: Cmp, x: &PairExpr, c: f64) -> Decision {
        let Some(x) = self.range(f, x) else {
            return Decision::OPEN;
        };
        let Some((cmp, bound)) = whole_bound(cmp, c * x.den as f64) else {
            return Decision::OPEN;
        };
        let bound = f.i64(bound as i64);
        if matches!(cmp, Cmp::Eq | Cmp::Ne) {
            let bound = Range {
                low: bound,
                high: bound,
                factor: 1,
                den: x.den,
            };
            return equal(f, cmp, x, bound);
        }
        order(f, cmp, x, bound)
    }

    fn range(&self, f: &mut Func, expr: &PairExpr) -> Option<Range> {
        let simple = |(low, high): (Val, Val)| {
            Some(Range {
                low,
                high,
                factor: 1,
                den: 1,
            })
        };
        if let Some(c) = constant(expr) {
            let (up, down) = fraction(c)?;
            let up = f.i64(up);
            return simple((up, up)).map(|r| Range { den: down, ..r });
        }
        if let Some(table) = self.tables.find(expr) {
            // The ends are integers, the values between them need not be.
            return if table.integral {
                simple(table.bounds(f, self.group))
            } else {
                None
            };
        }
        match expr {
            PairExpr::QueryPos => simple(self.query),
            PairExpr::KeyPos => simple(self.key),
            PairExpr::Head => simple(self.head),
            // The ends are integers, the values between them need not be: whatever is decided holds for those, too.
            PairExpr::QueryStream(n) => simple(self.streams[*n]?),
            PairExpr::Unary(UnaryOp::Neg, x) => {
                let x = self.range(f, x)?;
                times(f, x, -1, 1)
            }
            PairExpr::Unary(UnaryOp::Floor, x) => {
                let x = self.range(f, x)?;
                let den = f.i64(x.den);
                Some(Range {
                    low: f.floor_div(x.low, den),
                    high: f.floor_div(x.high, den),
                    factor: x.factor,
                    den: 1,
                })
            }
            PairExpr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), x, y) => {
                let (x, y) = (self.range(f, x)?, self.range(f, y)?);
                plus(f, x, y, *op == BinaryOp::Sub)
            }
            PairExpr::Binary(op @ (BinaryOp::Mul | BinaryOp::Div), x, y) => self.scaled(f, *op, (x, y)),
            _ => None,
        }
    }

    /// A product or a quotient with a constant.
    fn scaled(&self, f: &mut Func, op: BinaryOp, (x, y): (&PairExpr, &PairExpr)) -> Option<Range> {
        let (x, c) = match (op, constant(x), constant(y)) {
            (_, _, Some(c)) => (x, c),
            (BinaryOp::Mul, Some(c), _) => (y, c),
            _ => return None,
        };
        let (up, down) = fraction(c)?;
        let x = self.range(f, x)?;
        match op {
            // Nothing times what is no number is no number.
            _ if up == 0 => None,
            BinaryOp::Mul => times(f, x, up, down),
            _ => times(f, x, down * up.signum(), up.abs()),
        }
    }
}

/// Times `up / down`, `down` positive.
fn times(f: &mut Func, x: Range, up: i64, down: i64) -> Option<Range> {
    let factor = x.factor.checked_mul(up.abs().max(1)).filter(|n| *n < SMALL)?;
    let den = x.den.checked_mul(down).filter(|n| *n < SMALL)?;
    let by = f.i64(up);
    let (a, b) = (f.mul(x.low, by), f.mul(x.high, by));
    let (low, high) = if up < 0 { (b, a) } else { (a, b) };
    Some(Range { low, high, factor, den })
}

fn plus(f: &mut Func, x: Range, y: Range, negative: bool) -> Option<Range> {
    let y = if negative { times(f, y, -1, 1)? } else { y };
    let (x, y) = if x.den == y.den {
        (x, y)
    } else {
        (times(f, x, y.den, y.den)?, times(f, y, x.den, x.den)?)
    };
    Some(Range {
        low: f.add(x.low, y.low),
        high: f.add(x.high, y.high),
        factor: x.factor.checked_add(y.factor).filter(|n| *n < SMALL)?,
        den: x.den,
    })
}

/// `x cmp bound`, `bound` over the denominator of `x`.
fn order(f: &mut Func, cmp: Cmp, x: Range, bound: Val) -> Decision {
    let (worst, best) = match cmp {
        Cmp::Lt | Cmp::Le => (x.high, x.low),
        _ => (x.low, x.high),
    };
    let all = f.cmp(cmp, worst, bound);
    let some = f.cmp(cmp, best, bound);
    Decision {
        all: Bit::Val(all),
        none: Bit::Val(f.not(some)),
    }
}

/// Equal everywhere only where both are one and the same number; nowhere where the ranges are apart.
fn equal(f: &mut Func, cmp: Cmp, x: Range, y: Range) -> Decision {
    let Some(d) = plus(f, x, y, true) else {
        return Decision::OPEN;
    };
    let zero = f.i64(0);
    let (low, high) = (f.cmp(Cmp::Eq, d.low, zero), f.cmp(Cmp::Eq, d.high, zero));
    let all = f.and(low, high);
    let (above, below) = (f.cmp(Cmp::Gt, d.low, zero), f.cmp(Cmp::Lt, d.high, zero));
    let decision = Decision {
        all: Bit::Val(all),
        none: Bit::Val(f.or(above, below)),
    };
    if cmp == Cmp::Eq { decision } else { decision.not() }
}
