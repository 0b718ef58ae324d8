//! Predicates and scores of one query row and a vector of keys.
//!
//! Positions stay exact: an integer part for all lanes, a small offset for each. Only where they meet real numbers do
//! they become f32.

use super::{
    lookup::Lookup,
    table::{Tables, constant, is_truth},
};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val},
    kernels::math::{emit_pow, emit_unary},
};
use seqc_ir::{BinaryOp, PairExpr, UnaryOp};

/// Offsets and denominators stay below this, so that nothing overflows 32 bits.
const SMALL: i64 = 1 << 24;
/// Bases stay below this.
const LARGE: f64 = (1u64 << 60) as f64;
/// Positions and tables stay below this.
const POSITION: f64 = (1u64 << 40) as f64;
/// What stands for infinity beside positions.
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

/// The value of an expression; scalars hold for all lanes.
#[derive(Clone, Copy)]
pub(super) enum Term {
    Const(f64),
    RationalLanes(RationalLanes),
    /// f32.
    Real(Val),
    /// i1.
    Truth(Val),
}

/// One query row and a vector of keys.
pub(super) struct Pair<'a> {
    pub(super) tables: &'a Tables,
    pub(super) lanes: u32,
    /// Position of the query, i64.
    pub(super) query: Val,
    /// Position of the first lane's key, i64.
    pub(super) key: Val,
    /// Query head, i64.
    pub(super) head: Val,
    /// Scaled products; absent in predicates.
    pub(super) score: Option<Val>,
    /// Query streams, f32 scalars.
    pub(super) query_streams: &'a [Val],
    /// Key streams, f32 vectors.
    pub(super) key_streams: &'a [Val],
    /// What [`PairExpr::Table`] reads.
    pub(super) lookups: &'a [Lookup<'a>],
}

impl Pair<'_> {
    /// A truth value as a vector of i1.
    pub(super) fn mask(&self, f: &mut Func, expr: &PairExpr) -> Val {
        let term = self.term(f, expr);
        let truth = self.truth(f, term);
        self.wide(f, truth)
    }

    /// A number as a vector of f32.
    pub(super) fn real(&self, f: &mut Func, expr: &PairExpr) -> Val {
        let term = self.term(f, expr);
        let real = to_real(f, term);
        self.wide(f, real)
    }

    /// `key <= last` for a position `last`.
    pub(super) fn not_behind(&self, f: &mut Func, last: Val) -> Val {
        let last = RationalLanes::scalar(last);
        let key = self.key_position(f);
        let mask = compare_exact(f, Cmp::Le, key, last);
        let mask = mask.unwrap_or_else(|| f.i1(true));
        self.wide(f, mask)
    }

    fn wide(&self, f: &mut Func, v: Val) -> Val {
        if matches!(v.ty, Ty::V(..)) {
            v
        } else {
            f.splat(v, self.lanes)
        }
    }

    fn key_position(&self, f: &mut Func) -> RationalLanes {
        let lanes: Vec<i64> = (0..i64::from(self.lanes)).collect();
        RationalLanes {
            base: self.key,
            size: POSITION,
            offset: Some(f.lanes(Scalar::I32, &lanes)),
            reach: i64::from(self.lanes),
            slope: Some(1),
            den: 1,
        }
    }

    pub(super) fn term(&self, f: &mut Func, expr: &PairExpr) -> Term {
        if let Some(c) = constant(expr) {
            return Term::Const(c);
        }
        if let Some(table) = self.tables.find(expr) {
            let value = table.load(f, self.head);
            return match (table.integral, is_truth(expr)) {
                (true, true) => {
                    let zero = f.i64(0);
                    Term::Truth(f.cmp(Cmp::Ne, value, zero))
                }
                (true, false) => Term::RationalLanes(RationalLanes::scalar(value)),
                (false, _) => Term::Real(value),
            };
        }
        match expr {
            PairExpr::Score => Term::Real(self.score.unwrap_or_else(|| f.f32(0.0))),
            PairExpr::QueryPos => Term::RationalLanes(RationalLanes::scalar(self.query)),
            PairExpr::KeyPos => Term::RationalLanes(self.key_position(f)),
            PairExpr::Head => Term::RationalLanes(RationalLanes::scalar(self.head)),
            PairExpr::QueryStream(n) => Term::Real(self.query_streams[*n]),
            PairExpr::KeyStream(n) => Term::Real(self.key_streams[*n]),
            PairExpr::Const(c) => Term::Const(*c),
            PairExpr::Unary(op, x) => {
                let x = self.term(f, x);
                self.unary(f, *op, x)
            }
            PairExpr::Binary(op, x, y) => self.binary(f, *op, x, y),
            PairExpr::Select(c, a, b) => self.select(f, c, (a, b)),
            PairExpr::Table(n, indices) => Term::Real(self.entry(f, &self.lookups[*n], indices)),
        }
    }

    fn truth(&self, f: &mut Func, term: Term) -> Val {
        match term {
            Term::Const(c) => f.i1(c != 0.0),
            Term::Truth(v) => v,
            Term::Real(_) | Term::RationalLanes(_) => {
                let real = to_real(f, term);
                let zero = f.zero(real.ty);
                f.cmp(Cmp::Ne, real, zero)
            }
        }
    }

    /// Two values as two scalars or two vectors.
    fn alike(&self, f: &mut Func, a: Val, b: Val) -> (Val, Val) {
        if a.ty == b.ty {
            return (a, b);
        }
        (self.wide(f, a), self.wide(f, b))
    }

    fn unary(&self, f: &mut Func, op: UnaryOp, x: Term) -> Term {
        if op == UnaryOp::Not {
            let x = self.truth(f, x);
            return Term::Truth(f.not(x));
        }
        match (op, x) {
            (UnaryOp::Floor, Term::RationalLanes(x)) => return Term::RationalLanes(floor(f, x)),
            (UnaryOp::Round, Term::RationalLanes(RationalLanes { den: 1, .. })) => return x,
            (UnaryOp::Neg, Term::RationalLanes(x)) => {
                if let Some(x) = times(f, x, -1, 1) {
                    return Term::RationalLanes(x);
                }
            }
            _ => {}
        }
        let x = to_real(f, x);
        Term::Real(emit_unary(f, op, x))
    }

    fn select(&self, f: &mut Func, c: &PairExpr, (a, b): (&PairExpr, &PairExpr)) -> Term {
        let truth = is_truth(a) || is_truth(b);
        let (c, a, b) = (self.term(f, c), self.term(f, a), self.term(f, b));
        let c = self.truth(f, c);
        let (a, b) = if truth {
            (self.truth(f, a), self.truth(f, b))
        } else {
            (to_real(f, a), to_real(f, b))
        };
        let (a, b) = self.alike(f, a, b);
        let (a, b, c) = match (c.ty, a.ty) {
            (Ty::V(..), Ty::S(_)) => (self.wide(f, a), self.wide(f, b), c),
            _ => (a, b, c),
        };
        let v = f.select(c, a, b);
        if truth { Term::Truth(v) } else { Term::Real(v) }
    }

    fn binary(&self, f: &mut Func, op: BinaryOp, x: &PairExpr, y: &PairExpr) -> Term {
        if let Some(cmp) = comparison(op) {
            if let Some(cases) = by_cases(op, x, y, true) {
                return self.term(f, &cases);
            }
            let (x, y) = (self.term(f, x), self.term(f, y));
            return Term::Truth(self.compare(f, cmp, x, y));
        }
        let (x, y) = (self.term(f, x), self.term(f, y));
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            let (x, y) = (self.truth(f, x), self.truth(f, y));
            let (x, y) = self.alike(f, x, y);
            let v = if op == BinaryOp::And { f.and(x, y) } else { f.or(x, y) };
            return Term::Truth(v);
        }
        if let Some(exact) = exact_binary(f, op, x, y) {
            return Term::RationalLanes(exact);
        }
        let constant = if let Term::Const(c) = y { Some(c as f32) } else { None };
        let (x, y) = (to_real(f, x), to_real(f, y));
        let (x, y) = self.alike(f, x, y);
        Term::Real(real_binary(f, op, (x, y), constant))
    }

    fn compare(&self, f: &mut Func, cmp: Cmp, x: Term, y: Term) -> Val {
        let exact = match (x, y) {
            (Term::RationalLanes(x), Term::RationalLanes(y)) => Some((cmp, x, y)),
            (Term::RationalLanes(x), Term::Const(c)) => against(f, cmp, x, c),
            (Term::Const(c), Term::RationalLanes(y)) => against(f, turned(cmp), y, c),
            _ => None,
        };
        if let Some(mask) = exact.and_then(|(cmp, x, y)| compare_exact(f, cmp, x, y)) {
            return mask;
        }
        let (x, y) = (to_real(f, x), to_real(f, y));
        let (x, y) = self.alike(f, x, y);
        f.cmp(cmp, x, y)
    }
}

impl RationalLanes {
    fn scalar(base: Val) -> RationalLanes {
        RationalLanes {
            base,
            size: POSITION,
            offset: None,
            reach: 0,
            slope: Some(0),
            den: 1,
        }
    }

    fn constant(f: &mut Func, c: f64) -> Option<RationalLanes> {
        (c.fract() == 0.0 && c.abs() <= FAR).then(|| RationalLanes::scalar(f.i64(c as i64)))
    }
}

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

pub(super) fn turned(cmp: Cmp) -> Cmp {
    match cmp {
        Cmp::Lt => Cmp::Gt,
        Cmp::Le => Cmp::Ge,
        Cmp::Gt => Cmp::Lt,
        Cmp::Ge => Cmp::Le,
        same => same,
    }
}

/// An order between `x` or `y` that is a minimum, a maximum or a size, as orders between its parts: those stay exact. With
/// `nan` a part that is NaN is passed over; without, it has no order, which bounds say as well.
pub(super) fn by_cases(op: BinaryOp, x: &PairExpr, y: &PairExpr, nan: bool) -> Option<PairExpr> {
    use BinaryOp::{And, Eq, Ge, Gt, Le, Lt, Max, Min, Ne, Or};
    let bin = |op, a: &PairExpr, b: &PairExpr| PairExpr::Binary(op, Box::new(a.clone()), Box::new(b.clone()));
    let join =
        |both: bool, a: PairExpr, b: PairExpr| PairExpr::Binary(if both { And } else { Or }, Box::new(a), Box::new(b));
    // Orders `of_a` and `of_b` of the parts `a` and `b` of a minimum or maximum.
    let parts_join = |both: bool, (a, of_a): (&PairExpr, PairExpr), (b, of_b): (&PairExpr, PairExpr)| {
        let passed = |part: &PairExpr, order| {
            if nan && both && may_be_nan(part) {
                join(false, order, bin(Ne, part, part))
            } else {
                order
            }
        };
        let joined = join(both, passed(a, of_a), passed(b, of_b));
        if nan && both && may_be_nan(a) && may_be_nan(b) {
            let some = join(false, bin(Eq, a, a), bin(Eq, b, b));
            return join(true, joined, some);
        }
        joined
    };
    let below = match op {
        Lt | Le => true,
        Gt | Ge => false,
        _ => return None,
    };
    match (x, y) {
        (PairExpr::Binary(m @ (Min | Max), a, b), _) => {
            let (of_a, of_b) = (bin(op, a, y), bin(op, b, y));
            Some(parts_join((*m == Max) == below, (a, of_a), (b, of_b)))
        }
        (_, PairExpr::Binary(m @ (Min | Max), a, b)) => {
            let (of_a, of_b) = (bin(op, x, a), bin(op, x, b));
            Some(parts_join((*m == Min) == below, (a, of_a), (b, of_b)))
        }
        (PairExpr::Unary(UnaryOp::Abs, a), _) => {
            let minus = PairExpr::Unary(UnaryOp::Neg, a.clone());
            Some(join(below, bin(op, a, y), bin(op, &minus, y)))
        }
        (_, PairExpr::Unary(UnaryOp::Abs, a)) => {
            let minus = PairExpr::Unary(UnaryOp::Neg, a.clone());
            Some(join(!below, bin(op, x, a), bin(op, x, &minus)))
        }
        _ => None,
    }
}

/// False for what is made of positions and constants by sums, differences and products.
fn may_be_nan(expr: &PairExpr) -> bool {
    match expr {
        PairExpr::QueryPos | PairExpr::KeyPos | PairExpr::Head => false,
        PairExpr::Const(c) => !c.is_finite(),
        PairExpr::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Floor, x) => may_be_nan(x),
        PairExpr::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, x, y) => may_be_nan(x) || may_be_nan(y),
        _ => true,
    }
}

fn to_real(f: &mut Func, term: Term) -> Val {
    match term {
        Term::Const(c) => f.f32(c as f32),
        Term::Real(v) => v,
        Term::Truth(v) => f.convert(Cast::UnsignedToFloat, v, Scalar::F32),
        Term::RationalLanes(x) => {
            let base = f.convert(Cast::SignedToFloat, x.base, Scalar::F32);
            let value = match x.offset {
                None => base,
                Some(offset) => {
                    let offset = f.convert(Cast::SignedToFloat, offset, Scalar::F32);
                    let base = f.splat(base, offset.ty.lanes());
                    f.add(base, offset)
                }
            };
            if x.den == 1 {
                return value;
            }
            let den = f.float(value.ty, x.den as f32);
            f.div(value, den)
        }
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

fn plus(f: &mut Func, x: RationalLanes, y: RationalLanes, negative: bool) -> Option<RationalLanes> {
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

/// `x - m * floor(x / m)`
fn remainder(f: &mut Func, x: RationalLanes, m: f64) -> Option<RationalLanes> {
    if m.fract() != 0.0 || m <= 0.0 || m >= SMALL as f64 {
        return None;
    }
    let m = m as i64;
    let parts = times(f, x, 1, m)?;
    let quotient = floor(f, parts);
    let whole = times(f, quotient, m, 1)?;
    plus(f, x, whole, true)
}

fn exact_binary(f: &mut Func, op: BinaryOp, x: Term, y: Term) -> Option<RationalLanes> {
    match (op, x, y) {
        (BinaryOp::Add | BinaryOp::Sub, ..) => {
            let exact = |f: &mut Func, term| match term {
                Term::RationalLanes(x) => Some(x),
                Term::Const(c) => fraction(c).and_then(|(up, down)| {
                    let base = f.i64(up);
                    times(f, RationalLanes::scalar(base), 1, down)
                }),
                _ => None,
            };
            let (x, y) = (exact(f, x)?, exact(f, y)?);
            plus(f, x, y, op == BinaryOp::Sub)
        }
        (BinaryOp::Mul, Term::RationalLanes(x), Term::Const(c))
        | (BinaryOp::Mul, Term::Const(c), Term::RationalLanes(x)) => {
            let (up, down) = fraction(c)?;
            times(f, x, up, down)
        }
        (BinaryOp::Div, Term::RationalLanes(x), Term::Const(c)) => {
            let (up, down) = fraction(c).filter(|(up, _)| *up != 0)?;
            times(f, x, down * up.signum(), up.abs())
        }
        (BinaryOp::Mod, Term::RationalLanes(x), Term::Const(c)) => remainder(f, x, c),
        _ => None,
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

/// `x cmp c` as a comparison of integers: `x` is one, after its denominator is multiplied out.
fn against(f: &mut Func, cmp: Cmp, x: RationalLanes, c: f64) -> Option<(Cmp, RationalLanes, RationalLanes)> {
    let (cmp, bound) = whole_bound(cmp, c * x.den as f64)?;
    let bound = RationalLanes::constant(f, bound)?;
    Some((cmp, RationalLanes { den: 1, ..x }, bound))
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
fn compare_exact(f: &mut Func, cmp: Cmp, x: RationalLanes, y: RationalLanes) -> Option<Val> {
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
            let bound = splat_clamped(f, (a, b), r.ty.lanes());
            return Some(f.cmp(cmp, bound, r));
        }
    };
    let bound = splat_clamped(f, (b, a), offset.ty.lanes());
    Some(f.cmp(cmp, offset, bound))
}

fn widened(f: &mut Func, v: Val, factor: i64) -> Val {
    if factor == 1 {
        return v;
    }
    let factor = f.int(v.ty, factor);
    f.mul(v, factor)
}

/// `x - y` in all lanes, as 32 bits: beyond any offset a comparison no longer changes.
pub(super) fn splat_clamped(f: &mut Func, (x, y): (Val, Val), lanes: u32) -> Val {
    let (low, high) = (f.i64(-(1 << 30)), f.i64(1 << 30));
    let d = f.sub(x, y);
    let d = f.max(d, low);
    let d = f.min(d, high);
    let d = f.convert(Cast::Truncate, d, Scalar::I32);
    f.splat(d, lanes)
}

fn real_binary(f: &mut Func, op: BinaryOp, (x, y): (Val, Val), constant: Option<f32>) -> Val {
    match op {
        BinaryOp::Add => f.add(x, y),
        BinaryOp::Sub => f.sub(x, y),
        BinaryOp::Mul => f.mul(x, y),
        BinaryOp::Div => match constant {
            Some(c) if c != 0.0 && c.to_bits() & 0x7f_ffff == 0 && c.recip().is_normal() => {
                let inverse = f.float(y.ty, c.recip());
                f.mul(x, inverse)
            }
            _ => f.div(x, y),
        },
        BinaryOp::Mod => {
            let q = f.div(x, y);
            let q = f.unary(Unary::Floor, q);
            let q = f.neg(q);
            f.fma(q, y, x)
        }
        BinaryOp::Pow => emit_pow(f, x, y, constant),
        BinaryOp::Max => f.max_number(x, y),
        _ => f.min_number(x, y),
    }
}
