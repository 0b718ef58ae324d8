//! Comparisons as combinations of simpler ones: of minima, maxima and absolute values by their parts.

use super::PairExpr;
use crate::{
    BinaryOp::{self, Eq, Ge, Gt, Le, Lt, Max, Min, Ne},
    UnaryOp,
};

/// What [`by_cases`] does about parts that may be NaN, which a minimum or maximum passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nan {
    /// Such a part has no order: right where only bounds of positions matter.
    Unordered,
    /// Such a part is passed over, as the minimum does.
    PassedOver,
}

/// `op(x, y)` for an order `op` where `x` or `y` is a minimum, a maximum or an absolute value, as orders between the parts:
/// those stay exact. `None` where it is none of these.
pub fn by_cases(op: BinaryOp, x: &PairExpr, y: &PairExpr, nan: Nan) -> Option<PairExpr> {
    let below = match op {
        Lt | Le => true,
        Gt | Ge => false,
        _ => return None,
    };
    let order = |x: &PairExpr, y: &PairExpr| PairExpr::binary(op, x.clone(), y.clone());
    match (x, y) {
        (PairExpr::Binary(m @ (Min | Max), a, b), _) => {
            let parts = [a, b].map(|part| Part::new(part, order(part, y), nan));
            Some(joined((*m == Max) == below, parts))
        }
        (_, PairExpr::Binary(m @ (Min | Max), a, b)) => {
            let parts = [a, b].map(|part| Part::new(part, order(x, part), nan));
            Some(joined((*m == Min) == below, parts))
        }
        (PairExpr::Unary(UnaryOp::Abs, a), _) => Some(both_or_either(below, order(a, y), order(&minus(a), y))),
        (_, PairExpr::Unary(UnaryOp::Abs, a)) => Some(both_or_either(!below, order(x, a), order(x, &minus(a)))),
        _ => None,
    }
}

/// A part of a minimum or maximum.
struct Part<'a> {
    expr: &'a PairExpr,
    /// The order of this part alone.
    order: PairExpr,
    /// It may be NaN, which matters.
    may_be_nan: bool,
}

impl<'a> Part<'a> {
    fn new(expr: &'a PairExpr, order: PairExpr, nan: Nan) -> Part<'a> {
        let may_be_nan = nan == Nan::PassedOver && !expr.is_finite();
        Part {
            expr,
            order,
            may_be_nan,
        }
    }

    /// `op` of the part with itself: whether it is NaN, or is not.
    fn itself(&self, op: BinaryOp) -> PairExpr {
        PairExpr::binary(op, self.expr.clone(), self.expr.clone())
    }

    /// The order, or that the part is NaN.
    fn order_or_nan(&self) -> PairExpr {
        if self.may_be_nan {
            both_or_either(false, self.order.clone(), self.itself(Ne))
        } else {
            self.order.clone()
        }
    }
}

/// The order of a minimum or maximum that holds where it does for both parts, or for either.
fn joined(both: bool, [a, b]: [Part<'_>; 2]) -> PairExpr {
    if !both {
        return both_or_either(false, a.order, b.order);
    }
    let joined = both_or_either(true, a.order_or_nan(), b.order_or_nan());
    if a.may_be_nan && b.may_be_nan {
        let number = both_or_either(false, a.itself(Eq), b.itself(Eq));
        return both_or_either(true, joined, number);
    }
    joined
}

fn both_or_either(both: bool, a: PairExpr, b: PairExpr) -> PairExpr {
    PairExpr::binary(if both { BinaryOp::And } else { BinaryOp::Or }, a, b)
}

fn minus(x: &PairExpr) -> PairExpr {
    PairExpr::unary(UnaryOp::Neg, x.clone())
}

impl BinaryOp {
    /// The comparison that holds where this one does not; `None` for what is no comparison.
    pub fn opposite(self) -> Option<BinaryOp> {
        Some(match self {
            Lt => Ge,
            Le => Gt,
            Gt => Le,
            Ge => Lt,
            Eq => Ne,
            Ne => Eq,
            _ => return None,
        })
    }
}
