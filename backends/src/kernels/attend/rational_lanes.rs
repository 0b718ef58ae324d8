//! Exact arithmetic with positions in lanes: one integer for all lanes, a small offset for each, a denominator.
//!
//! Positions need 40 bits, offsets within a vector of keys few: 64-bit arithmetic is scalar, lanes take 32 bits.

use crate::kernel::{Cast, Cmp, Func, Scalar, Val};
use seqc_ir::{BinaryOp, Operand, Rational};

/// Offsets and denominators stay below this, so that nothing overflows 32 bits.
const SMALL: i64 = 1 << 24;
/// Bases stay below this.
const LARGE: f64 = (1u64 << 60) as f64;
/// Positions and tables stay below this.
const POSITION: f64 = (1u64 << 40) as f64;
/// The value used as infinity for positions.
const FAR: f64 = (1u64 << 40) as f64;

/// `(base + offset) / den`, exactly.
#[derive(Clone, Copy)]
pub(super) struct RationalLanes {
    pub(super) base: Val,
    /// No base is larger.
    size: f64,
    /// A vector of i32, of size at most `reach`.
    pub(super) offset: Option<Val>,
    reach: i64,
    /// By how much the offset grows from lane to lane, where that is known; it begins with 0.
    pub(super) slope: Option<i64>,
    pub(super) den: i64,
}

impl RationalLanes {
    /// A number that is the same in all lanes.
    pub(super) fn scalar(base: Val) -> RationalLanes {
        RationalLanes {
            base,
            size: POSITION,
            offset: None,
            reach: 0,
            slope: Some(0),
            den: 1,
        }
    }

    /// An integer.
    fn integer(f: &mut Func, c: f64) -> Option<RationalLanes> {
        (c.fract() == 0.0 && c.abs() <= FAR).then(|| RationalLanes::scalar(f.i64(c as i64)))
    }

    /// The positions of consecutive keys, the first one at `first`.
    pub(super) fn positions(f: &mut Func, first: Val, lanes: u32) -> RationalLanes {
        let numbers: Vec<i64> = (0..i64::from(lanes)).collect();
        RationalLanes {
            base: first,
            size: POSITION,
            offset: Some(f.lanes(Scalar::I32, &numbers)),
            reach: i64::from(lanes),
            slope: Some(1),
            den: 1,
        }
    }

    /// As f32.
    pub(super) fn to_real(self, f: &mut Func) -> Val {
        let base = f.convert(Cast::SignedToFloat, self.base, Scalar::F32);
        let value = match self.offset {
            None => base,
            Some(offset) => {
                let offset = f.convert(Cast::SignedToFloat, offset, Scalar::F32);
                let base = f.splat(base, offset.ty.lanes());
                f.add(base, offset)
            }
        };
        if self.den == 1 {
            return value;
        }
        let den = f.float(value.ty, self.den as f32);
        f.div(value, den)
    }
}

/// Exact arithmetic in lanes, as code of a function.
pub(super) struct LaneArithmetic<'f>(pub(super) &'f mut Func);

impl Rational for LaneArithmetic<'_> {
    type Number = RationalLanes;

    fn constant(&mut self, c: f64) -> Option<RationalLanes> {
        let (up, down) = fraction(c)?;
        let base = self.0.i64(up);
        times(self.0, RationalLanes::scalar(base), 1, down)
    }

    fn fraction(&self, c: f64) -> Option<(i64, i64)> {
        fraction(c)
    }

    fn times(&mut self, x: RationalLanes, up: i64, down: i64) -> Option<RationalLanes> {
        times(self.0, x, up, down)
    }

    fn plus(&mut self, x: RationalLanes, y: RationalLanes) -> Option<RationalLanes> {
        sum(self.0, x, y, false)
    }

    fn minus(&mut self, x: RationalLanes, y: RationalLanes) -> Option<RationalLanes> {
        sum(self.0, x, y, true)
    }

    fn floor(&mut self, x: RationalLanes) -> Option<RationalLanes> {
        Some(floor(self.0, x))
    }

    /// `x - m * floor(x / m)`
    fn remainder(&mut self, x: Operand<RationalLanes>, m: f64) -> Option<RationalLanes> {
        let Operand::Number(x) = x else { return None };
        if m.fract() != 0.0 || m <= 0.0 || m >= SMALL as f64 {
            return None;
        }
        let m = m as i64;
        let parts = self.times(x, 1, m)?;
        let quotient = self.floor(parts)?;
        let whole = self.times(quotient, m, 1)?;
        self.minus(x, whole)
    }
}

/// The comparison that an operation is.
pub(super) fn comparison(op: BinaryOp) -> Option<Cmp> {
    Some(match op {
        BinaryOp::Lt => Cmp::Lt,
        BinaryOp::Le => Cmp::Le,
        BinaryOp::Gt => Cmp::Gt,
        BinaryOp::Ge => Cmp::Ge,
        BinaryOp::Eq => Cmp::Eq,
        BinaryOp::Ne => Cmp::Ne,
        _ => return None,
    })
}

/// The same with its sides exchanged.
pub(super) fn turned(cmp: Cmp) -> Cmp {
    match cmp {
        Cmp::Lt => Cmp::Gt,
        Cmp::Le => Cmp::Ge,
        Cmp::Gt => Cmp::Lt,
        Cmp::Ge => Cmp::Le,
        same => same,
    }
}

/// Times `up / down`, `down` positive; `None` where it gets too large.
fn times(f: &mut Func, x: RationalLanes, up: i64, down: i64) -> Option<RationalLanes> {
    let reach = x.reach.checked_mul(up.abs()).filter(|r| *r < SMALL)?;
    let den = x.den.checked_mul(down).filter(|d| *d < SMALL)?;
    let size = Some(x.size * up.abs() as f64).filter(|s| *s < LARGE)?;
    if up == 1 {
        return Some(RationalLanes { den, ..x });
    }
    let factor = f.i64(up);
    let base = f.mul(x.base, factor);
    let offset = x.offset.map(|v| {
        let factor = f.int(v.ty, up);
        f.mul(v, factor)
    });
    Some(RationalLanes {
        base,
        size,
        offset,
        reach,
        slope: x.slope.map(|slope| slope * up),
        den,
    })
}

/// `x + y`, or `x - y`.
fn sum(f: &mut Func, x: RationalLanes, y: RationalLanes, negative: bool) -> Option<RationalLanes> {
    let (x, y) = if x.den == y.den {
        (x, y)
    } else {
        (times(f, x, y.den, y.den)?, times(f, y, x.den, x.den)?)
    };
    let reach = Some(x.reach + y.reach).filter(|r| *r < SMALL)?;
    let size = Some(x.size + y.size).filter(|s| *s < LARGE)?;
    let mut join = |a: Val, b: Val| if negative { f.sub(a, b) } else { f.add(a, b) };
    let base = join(x.base, y.base);
    let offset = match (x.offset, y.offset) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (None, Some(b)) if negative => {
            let zero = f.zero(b.ty);
            Some(f.sub(zero, b))
        }
        (a, b) => a.or(b),
    };
    Some(RationalLanes {
        base,
        size,
        offset,
        reach,
        slope: x.slope.zip(y.slope).map(|(a, b)| if negative { a - b } else { a + b }),
        den: x.den,
    })
}

/// The base is divided once; what is left of it and the offset are small.
pub(super) fn floor(f: &mut Func, x: RationalLanes) -> RationalLanes {
    if x.den == 1 {
        return x;
    }
    let den = f.i64(x.den);
    let base = f.floor_div(x.base, den);
    let Some(offset) = x.offset else {
        return RationalLanes { base, den: 1, ..x };
    };
    let whole = f.mul(base, den);
    let rest = f.sub(x.base, whole);
    let rest = f.convert(Cast::Truncate, rest, Scalar::I32);
    let rest = f.splat(rest, offset.ty.lanes());
    let sum = f.add(rest, offset);
    let den = f.int(sum.ty, x.den);
    RationalLanes {
        base,
        size: x.size,
        offset: Some(f.floor_div(sum, den)),
        reach: x.reach / x.den + 2,
        slope: None,
        den: 1,
    }
}

/// A constant as a small fraction.
pub(super) fn fraction(c: f64) -> Option<(i64, i64)> {
    let down = [1, 2, 4, 8, 16]
        .into_iter()
        .find(|d| (c * f64::from(*d)).fract() == 0.0)?;
    let up = c * f64::from(down);
    (up.abs() <= FAR).then_some((up as i64, i64::from(down)))
}

/// `x cmp c` as a comparison of integers: `x` is one, after its denominator is multiplied out. `None` where it is none.
pub(super) fn compare_constant(f: &mut Func, cmp: Cmp, x: RationalLanes, c: f64) -> Option<Val> {
    let (cmp, bound) = whole_bound(cmp, c * x.den as f64)?;
    let bound = RationalLanes::integer(f, bound)?;
    compare_exact(f, cmp, RationalLanes { den: 1, ..x }, bound)
}

/// For integers `x`: `x cmp c` as `x cmp' c'` with an integer `c'`.
pub(super) fn whole_bound(cmp: Cmp, c: f64) -> Option<(Cmp, f64)> {
    let bound = match cmp {
        Cmp::Lt | Cmp::Ge => c.ceil(),
        Cmp::Le | Cmp::Gt => c.floor(),
        Cmp::Eq | Cmp::Ne => c,
    };
    (bound.fract() == 0.0 || bound.is_infinite()).then(|| (cmp, bound.clamp(-FAR, FAR)))
}

/// `x cmp y`, unless it takes larger numbers than there are.
pub(super) fn compare_exact(f: &mut Func, cmp: Cmp, x: RationalLanes, y: RationalLanes) -> Option<Val> {
    let reach = (x.reach as f64) * (y.den as f64) + (y.reach as f64) * (x.den as f64);
    if reach >= f64::from(1 << 29) || (x.size * y.den as f64).max(y.size * x.den as f64) >= LARGE {
        return None;
    }
    let (a, b) = (widened(f, x.base, y.den), widened(f, y.base, x.den));
    let left = x.offset.map(|v| widened(f, v, y.den));
    let right = y.offset.map(|v| widened(f, v, x.den));
    let offset = match (left, right) {
        (None, None) => return Some(f.cmp(cmp, a, b)),
        (Some(l), Some(r)) => f.sub(l, r),
        (Some(l), None) => l,
        (None, Some(r)) => {
            let bound = clamped_difference(f, a, b);
            let bound = f.splat(bound, r.ty.lanes());
            return Some(f.cmp(cmp, bound, r));
        }
    };
    let bound = clamped_difference(f, b, a);
    let bound = f.splat(bound, offset.ty.lanes());
    Some(f.cmp(cmp, offset, bound))
}

fn widened(f: &mut Func, v: Val, factor: i64) -> Val {
    if factor == 1 {
        return v;
    }
    let factor = f.int(v.ty, factor);
    f.mul(v, factor)
}

/// `x - y` as 32 bits: beyond any offset a comparison no longer changes.
pub(super) fn clamped_difference(f: &mut Func, x: Val, y: Val) -> Val {
    let (low, high) = (f.i64(-(1 << 30)), f.i64(1 << 30));
    let d = f.sub(x, y);
    let d = f.max(d, low);
    let d = f.min(d, high);
    f.convert(Cast::Truncate, d, Scalar::I32)
}
