//! Code of predicates and scores for one query row and a vector of keys.
//!
//! Positions stay exact ([`RationalLanes`]). They become f32 only where they are combined with real numbers.

use super::{
    pair::{Pair, Term},
    rational_lanes::{LaneArithmetic, RationalLanes, compare_constant, compare_exact, comparison, turned},
};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val},
    kernels::math::{emit_pow, emit_unary},
};
use seqc_ir::{BinaryOp, Nan, Operand, PairDomain, PairExpr, PairLeaf, Rational, UnaryOp, by_cases};

impl Term {
    /// As an operand of exact arithmetic.
    fn operand(self) -> Operand<RationalLanes> {
        match self {
            Term::Const(c) => Operand::Const(c),
            Term::Exact(x) => Operand::Number(x),
            Term::Real(_) | Term::Truth(_) => Operand::Other,
        }
    }

    /// As f32.
    fn to_real(self, f: &mut Func) -> Val {
        match self {
            Term::Const(c) => f.f32(c as f32),
            Term::Real(v) => v,
            Term::Truth(v) => f.convert(Cast::UnsignedToFloat, v, Scalar::F32),
            Term::Exact(x) => x.to_real(f),
        }
    }

    /// As i1.
    fn to_truth(self, f: &mut Func) -> Val {
        match self {
            Term::Const(c) => f.i1(c != 0.0),
            Term::Truth(v) => v,
            Term::Real(_) | Term::Exact(_) => {
                let real = self.to_real(f);
                let zero = f.zero(real.ty);
                f.cmp(Cmp::Ne, real, zero)
            }
        }
    }
}

/// Two values that are both scalars or both vectors.
struct Alike {
    x: Val,
    y: Val,
}

impl Pair<'_> {
    /// A truth value as a vector of i1.
    pub(super) fn mask(&self, f: &mut Func, expr: &PairExpr) -> Val {
        let truth = Lowering { pair: self, f }.value(expr).to_truth(f);
        self.wide(f, truth)
    }

    /// A number as a vector of f32.
    pub(super) fn real(&self, f: &mut Func, expr: &PairExpr) -> Val {
        let real = Lowering { pair: self, f }.value(expr).to_real(f);
        self.wide(f, real)
    }

    /// A number; a scalar where it is one for all lanes.
    pub(super) fn number(&self, f: &mut Func, expr: &PairExpr) -> Val {
        Lowering { pair: self, f }.value(expr).to_real(f)
    }

    /// A truth value; a scalar where it is one for all lanes.
    pub(super) fn truth(&self, f: &mut Func, expr: &PairExpr) -> Val {
        Lowering { pair: self, f }.value(expr).to_truth(f)
    }

    /// `key <= last` for a position `last`.
    pub(super) fn not_behind(&self, f: &mut Func, last: Val) -> Val {
        let last = RationalLanes::scalar(last);
        let key = RationalLanes::positions(f, self.key, self.lanes);
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

    fn alike(&self, f: &mut Func, x: Val, y: Val) -> Alike {
        if x.ty == y.ty {
            return Alike { x, y };
        }
        Alike {
            x: self.wide(f, x),
            y: self.wide(f, y),
        }
    }

    fn compare(&self, f: &mut Func, cmp: Cmp, x: Term, y: Term) -> Val {
        let exact = match (x, y) {
            (Term::Exact(x), Term::Exact(y)) => compare_exact(f, cmp, x, y),
            (Term::Exact(x), Term::Const(c)) => compare_constant(f, cmp, x, c),
            (Term::Const(c), Term::Exact(y)) => compare_constant(f, turned(cmp), y, c),
            _ => None,
        };
        if let Some(mask) = exact {
            return mask;
        }
        let (x, y) = (x.to_real(f), y.to_real(f));
        let both = self.alike(f, x, y);
        f.cmp(cmp, both.x, both.y)
    }
}

/// Evaluates expressions to code.
struct Lowering<'a> {
    pair: &'a Pair<'a>,
    f: &'a mut Func,
}

impl PairDomain for Lowering<'_> {
    type Value = Term;

    fn value(&mut self, expr: &PairExpr) -> Term {
        if let Some(c) = expr.constant() {
            return Term::Const(c);
        }
        if let Some(table) = self.pair.tables.find(expr) {
            let value = table.load(self.f, self.pair.head);
            return match (table.integral, expr.is_truth()) {
                (true, true) => {
                    let zero = self.f.i64(0);
                    Term::Truth(self.f.cmp(Cmp::Ne, value, zero))
                }
                (true, false) => Term::Exact(RationalLanes::scalar(value)),
                (false, _) => Term::Real(value),
            };
        }
        if let Some(n) = self.pair.named.iter().position(|list| list.says(expr)) {
            return Term::Truth(self.pair.members[n]);
        }
        if let PairExpr::After(of) = expr
            && let Some(found) = self.pair.behind.iter().find(|sum| sum.of == &**of)
        {
            return Term::Real(found.sum);
        }
        if let PairExpr::Binary(op, x, y) = expr
            && let Some(cases) = by_cases(*op, x, y, Nan::PassedOver)
        {
            return self.value(&cases);
        }
        self.of_parts(expr)
    }

    fn leaf(&mut self, leaf: PairLeaf) -> Term {
        let pair = self.pair;
        match leaf {
            PairLeaf::Score => Term::Real(pair.score.unwrap_or_else(|| self.f.f32(0.0))),
            PairLeaf::QueryPos => Term::Exact(RationalLanes::scalar(pair.query)),
            PairLeaf::KeyPos => Term::Exact(RationalLanes::positions(self.f, pair.key, pair.lanes)),
            PairLeaf::Head => Term::Exact(RationalLanes::scalar(pair.head)),
            PairLeaf::QueryStream(n) => Term::Real(pair.query_streams[n]),
            PairLeaf::KeyStream(n) => Term::Real(pair.key_streams[n]),
            PairLeaf::Const(c) => Term::Const(c),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Term) -> Term {
        if op == UnaryOp::Not {
            let x = x.to_truth(self.f);
            return Term::Truth(self.f.not(x));
        }
        if let Term::Exact(exact) = x {
            if op == UnaryOp::Round && exact.den == 1 {
                return x;
            }
            if let Some(exact) = LaneArithmetic(self.f).exact_unary(op, exact) {
                return Term::Exact(exact);
            }
        }
        let x = x.to_real(self.f);
        Term::Real(emit_unary(self.f, op, x))
    }

    fn binary(&mut self, op: BinaryOp, x: Term, y: Term) -> Term {
        let (pair, f) = (self.pair, &mut *self.f);
        if let Some(cmp) = comparison(op) {
            return Term::Truth(pair.compare(f, cmp, x, y));
        }
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            let (x, y) = (x.to_truth(f), y.to_truth(f));
            let Alike { x, y } = pair.alike(f, x, y);
            let v = if op == BinaryOp::And { f.and(x, y) } else { f.or(x, y) };
            return Term::Truth(v);
        }
        if let Some(exact) = LaneArithmetic(f).exact_binary(op, x.operand(), y.operand()) {
            return Term::Exact(exact);
        }
        let constant = if let Term::Const(c) = y { Some(c as f32) } else { None };
        let (x, y) = (x.to_real(f), y.to_real(f));
        let both = pair.alike(f, x, y);
        Term::Real(real_binary(f, op, both, constant))
    }

    fn select(&mut self, c: Term, a: Term, b: Term) -> Term {
        let (pair, f) = (self.pair, &mut *self.f);
        let truth = matches!(a, Term::Truth(_)) || matches!(b, Term::Truth(_));
        let c = c.to_truth(f);
        let (a, b) = if truth {
            (a.to_truth(f), b.to_truth(f))
        } else {
            (a.to_real(f), b.to_real(f))
        };
        let Alike { x: mut a, y: mut b } = pair.alike(f, a, b);
        if c.ty.lanes() > 1 {
            (a, b) = (pair.wide(f, a), pair.wide(f, b));
        }
        let v = f.select(c, a, b);
        if truth { Term::Truth(v) } else { Term::Real(v) }
    }

    fn table(&mut self, n: usize, indices: Vec<Term>) -> Term {
        Term::Real(self.pair.entry(self.f, &self.pair.lookups[n], &indices))
    }

    fn after(&mut self, _: Term) -> Term {
        unreachable!("what scores sum over later keys is known where they are computed")
    }

    fn listed(&mut self, n: usize, x: Term) -> Term {
        let x = x.to_real(self.f);
        Term::Truth(self.pair.is_listed(self.f, n, x))
    }
}

/// `op(x, y)` of real numbers; `constant` is `y` where that is one.
fn real_binary(f: &mut Func, op: BinaryOp, both: Alike, constant: Option<f32>) -> Val {
    let Alike { x, y } = both;
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
            f.exact_fma(q, y, x)
        }
        BinaryOp::Pow => emit_pow(f, x, y, constant),
        BinaryOp::Max => f.max_number(x, y),
        _ => f.min_number(x, y),
    }
}
