//! Exact arithmetic with positions in lanes: one integer for all lanes, an offset for each, a denominator.
//!
//! Positions need 40 bits, offsets within a vector of keys few: 64-bit arithmetic is scalar, lanes take 32 bits, or 64 where offsets
//! get large. Numbers of 64 bits wrap around as integers do everywhere.

use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};
use seqc_ir::{BinaryOp, Operand, Rational};

/// Offsets of 32 bits, and denominators, stay below this, so that nothing overflows 32 bits.
const SMALL: i64 = 1 << 24;
/// The reach of offsets about which nothing is known.
const ANY: i64 = i64::MAX;
/// Constants that are integers in double precision.
const EXACT: f64 = (1u64 << 53) as f64;
/// The value used as infinity in comparisons.
const FAR: f64 = (1u64 << 61) as f64;

/// `(base + offset) / den`, exactly.
#[derive(Clone, Copy)]
pub(super) struct RationalLanes {
    pub(super) base: Val,
    /// A vector of i32 whose numbers are at most `reach`, or of i64.
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
            offset: None,
            reach: 0,
            slope: Some(0),
            den: 1,
        }
    }

    /// The positions of consecutive keys, the first one at `first`.
    pub(super) fn positions(f: &mut Func, first: Val, lanes: u32) -> RationalLanes {
        let numbers: Vec<i64> = (0..i64::from(lanes)).collect();
        RationalLanes {
            base: first,
            offset: Some(f.lanes(Scalar::I32, &numbers)),
            reach: i64::from(lanes),
            slope: Some(1),
            den: 1,
        }
    }

    /// A number of its own in each lane, of i32 at most `reach`, or of i64.
    fn lanes(f: &mut Func, offset: Val, reach: i64) -> RationalLanes {
        RationalLanes {
            base: f.i64(0),
            offset: Some(offset),
            reach,
            slope: None,
            den: 1,
        }
    }

    /// As f32.
    pub(super) fn to_real(self, f: &mut Func) -> Val {
        let value = match self.offset {
            Some(offset) if !is_wide(offset) => {
                let base = f.convert(Cast::SignedToFloat, self.base, Scalar::F32);
                let offset = f.convert(Cast::SignedToFloat, offset, Scalar::F32);
                let base = f.splat(base, offset.ty.lanes());
                f.add(base, offset)
            }
            _ => {
                let whole = self.whole(f);
                f.convert(Cast::SignedToFloat, whole, Scalar::F32)
            }
        };
        if self.den == 1 {
            return value;
        }
        let den = f.float(value.ty, self.den as f32);
        f.div(value, den)
    }

    /// `base + offset`: i64, a scalar where it is the same in all lanes.
    pub(super) fn whole(self, f: &mut Func) -> Val {
        let Some(offset) = self.offset else { return self.base };
        let offset = widened(f, offset);
        let base = f.splat(self.base, offset.ty.lanes());
        f.add(base, offset)
    }
}

/// Exact arithmetic in lanes, as code of a function.
pub(super) struct LaneArithmetic<'f>(pub(super) &'f mut Func);

impl Rational for LaneArithmetic<'_> {
    type Number = RationalLanes;

    fn constant(&mut self, c: f64) -> Option<RationalLanes> {
        let (up, down) = fraction(c, EXACT)?;
        let base = self.0.i64(up);
        times(self.0, RationalLanes::scalar(base), 1, down)
    }

    fn fraction(&self, c: f64) -> Option<(i64, i64)> {
        fraction(c, EXACT)
    }

    fn times(&mut self, x: RationalLanes, up: i64, down: i64) -> Option<RationalLanes> {
        times(self.0, x, up, down)
    }

    fn product(&mut self, x: RationalLanes, y: RationalLanes) -> Option<RationalLanes> {
        let den = denominator(x.den, y.den)?;
        let (a, b) = (x.whole(self.0), y.whole(self.0));
        let product = match (x.offset, y.offset) {
            (None, None) => {
                let base = self.0.mul(a, b);
                RationalLanes::scalar(base)
            }
            _ => {
                let (a, b) = (alike(self.0, a, b), alike(self.0, b, a));
                let product = self.0.mul(a, b);
                RationalLanes::lanes(self.0, product, ANY)
            }
        };
        Some(RationalLanes { den, ..product })
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
        if m.fract() != 0.0 || m <= 0.0 || m > EXACT {
            return None;
        }
        let m = m as i64;
        let parts = self.times(x, 1, m)?;
        let quotient = self.floor(parts)?;
        let whole = self.times(quotient, m, 1)?;
        let rest = self.minus(x, whole)?;
        let small = m * rest.den;
        if small >= SMALL || !rest.offset.is_some_and(is_wide) {
            return Some(rest);
        }
        let whole = rest.whole(self.0);
        let offset = self.0.convert(Cast::Truncate, whole, Scalar::I32);
        Some(RationalLanes {
            den: rest.den,
            ..RationalLanes::lanes(self.0, offset, small)
        })
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

/// Whether offsets have 64 bits.
fn is_wide(offset: Val) -> bool {
    offset.ty.scalar() == Scalar::I64
}

/// An offset in 64 bits.
fn widened(f: &mut Func, offset: Val) -> Val {
    if is_wide(offset) {
        offset
    } else {
        f.convert(Cast::SignExtend, offset, Scalar::I64)
    }
}

/// A number in as many lanes as another.
fn alike(f: &mut Func, v: Val, other: Val) -> Val {
    match other.ty {
        Ty::V(lanes, _) if v.ty == Ty::I64 => f.splat(v, lanes),
        _ => v,
    }
}

/// A product of denominators.
fn denominator(x: i64, y: i64) -> Option<i64> {
    x.checked_mul(y).filter(|den| *den < 1 << 53)
}

/// Times `up / down`, `down` positive.
fn times(f: &mut Func, x: RationalLanes, up: i64, down: i64) -> Option<RationalLanes> {
    let den = denominator(x.den, down)?;
    if up == 1 {
        return Some(RationalLanes { den, ..x });
    }
    let reach = x.reach.saturating_mul(up.saturating_abs());
    let factor = f.i64(up);
    let base = f.mul(x.base, factor);
    let offset = x.offset.map(|v| {
        let v = if reach < SMALL { v } else { widened(f, v) };
        let factor = f.int(v.ty, up);
        f.mul(v, factor)
    });
    Some(RationalLanes {
        base,
        offset,
        reach,
        slope: x.slope.and_then(|slope| slope.checked_mul(up)),
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
    let join = |f: &mut Func, a: Val, b: Val| if negative { f.sub(a, b) } else { f.add(a, b) };
    let base = join(f, x.base, y.base);
    let reach = x.reach.saturating_add(y.reach);
    let mut sized = |v: Val| if reach < SMALL { v } else { widened(f, v) };
    let offset = match (x.offset.map(&mut sized), y.offset.map(sized)) {
        (Some(a), Some(b)) => Some(join(f, a, b)),
        (None, Some(b)) if negative => {
            let zero = f.zero(b.ty);
            Some(f.sub(zero, b))
        }
        (a, b) => a.or(b),
    };
    let slope = x.slope.zip(y.slope);
    Some(RationalLanes {
        base,
        offset,
        reach,
        slope: slope.and_then(|(a, b)| if negative { a.checked_sub(b) } else { a.checked_add(b) }),
        den: x.den,
    })
}

/// The base is divided once; what is left of it and the offset are small, where those of the offset are.
pub(super) fn floor(f: &mut Func, x: RationalLanes) -> RationalLanes {
    if x.den == 1 {
        return x;
    }
    let den = f.i64(x.den);
    let Some(offset) = x.offset else {
        let base = f.floor_div(x.base, den);
        return RationalLanes { base, den: 1, ..x };
    };
    if is_wide(offset) || x.den >= SMALL {
        let whole = x.whole(f);
        let den = f.int(whole.ty, x.den);
        let quotient = f.floor_div(whole, den);
        return RationalLanes::lanes(f, quotient, ANY);
    }
    let base = f.floor_div(x.base, den);
    let whole = f.mul(base, den);
    let rest = f.sub(x.base, whole);
    let rest = f.convert(Cast::Truncate, rest, Scalar::I32);
    let rest = f.splat(rest, offset.ty.lanes());
    let sum = f.add(rest, offset);
    let den = f.int(sum.ty, x.den);
    RationalLanes {
        base,
        offset: Some(f.floor_div(sum, den)),
        reach: x.reach / x.den + 2,
        slope: None,
        den: 1,
    }
}

/// A constant as a small fraction, whose numerator is at most `most`.
pub(super) fn fraction(c: f64, most: f64) -> Option<(i64, i64)> {
    let down = [1, 2, 4, 8, 16]
        .into_iter()
        .find(|d| (c * f64::from(*d)).fract() == 0.0)?;
    let up = c * f64::from(down);
    (up.abs() <= most).then_some((up as i64, i64::from(down)))
}

/// `x cmp c` as a comparison of integers: `x` is one, after its denominator is multiplied out. `None` where it is none.
pub(super) fn compare_constant(f: &mut Func, cmp: Cmp, x: RationalLanes, c: f64) -> Option<Val> {
    let (cmp, bound) = whole_bound(cmp, c * x.den as f64, FAR)?;
    let bound = RationalLanes::scalar(f.i64(bound as i64));
    compare_exact(f, cmp, RationalLanes { den: 1, ..x }, bound)
}

/// For integers `x` closer to zero than `far`: `x cmp c` as `x cmp' c'` with an integer `c'`.
pub(super) fn whole_bound(cmp: Cmp, c: f64, far: f64) -> Option<(Cmp, f64)> {
    let bound = match cmp {
        Cmp::Lt | Cmp::Ge => c.ceil(),
        Cmp::Le | Cmp::Gt => c.floor(),
        Cmp::Eq | Cmp::Ne => c,
    };
    (bound.fract() == 0.0 || bound.is_infinite()).then(|| (cmp, bound.clamp(-far, far)))
}

/// `x cmp y`; `None` where the denominators get too large.
pub(super) fn compare_exact(f: &mut Func, cmp: Cmp, x: RationalLanes, y: RationalLanes) -> Option<Val> {
    let (x, y) = if x.den == y.den {
        (RationalLanes { den: 1, ..x }, RationalLanes { den: 1, ..y })
    } else {
        denominator(x.den, y.den)?;
        (times(f, x, y.den, 1)?, times(f, y, x.den, 1)?)
    };
    if x.offset.is_none() && y.offset.is_none() {
        return Some(f.cmp(cmp, x.base, y.base));
    }
    if x.reach.saturating_add(y.reach) >= 1 << 29 || [x.offset, y.offset].into_iter().flatten().any(is_wide) {
        let (a, b) = (x.whole(f), y.whole(f));
        let (a, b) = (alike(f, a, b), alike(f, b, a));
        return Some(f.cmp(cmp, a, b));
    }
    let offset = match (x.offset, y.offset) {
        (Some(l), Some(r)) => f.sub(l, r),
        (Some(l), None) => l,
        (None, r) => {
            let bound = clamped_difference(f, x.base, y.base);
            let r = r?;
            let bound = f.splat(bound, r.ty.lanes());
            return Some(f.cmp(cmp, bound, r));
        }
    };
    let bound = clamped_difference(f, y.base, x.base);
    let bound = f.splat(bound, offset.ty.lanes());
    Some(f.cmp(cmp, offset, bound))
}

/// `x - y` as 32 bits: beyond any offset a comparison no longer changes.
pub(super) fn clamped_difference(f: &mut Func, x: Val, y: Val) -> Val {
    let (low, high) = (f.i64(-(1 << 30)), f.i64(1 << 30));
    let d = f.sub(x, y);
    let d = f.max(d, low);
    let d = f.min(d, high);
    f.convert(Cast::Truncate, d, Scalar::I32)
}
