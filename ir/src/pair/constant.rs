//! Numbers of expressions over pairs that are known when compiling, and whether an expression is a finite number at all.

use super::{PairDomain, PairExpr, PairLeaf};
use crate::{
    BinaryOp, UnaryOp,
    eval::{apply_binary, apply_unary},
};

/// The number that an expression of constants and the query head is; `None` for others.
struct AtHead(
    /// The head; `None`: what depends on it is not known either.
    Option<usize>,
);

impl PairDomain for AtHead {
    type Value = Option<f64>;

    fn leaf(&mut self, leaf: PairLeaf) -> Option<f64> {
        match leaf {
            PairLeaf::Const(c) => Some(c),
            PairLeaf::Head => self.0.map(|head| head as f64),
            PairLeaf::Score
            | PairLeaf::QueryPos
            | PairLeaf::KeyPos
            | PairLeaf::QueryStream(_)
            | PairLeaf::KeyStream(_) => None,
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Option<f64>) -> Option<f64> {
        Some(apply_unary(op, x?))
    }

    fn binary(&mut self, op: BinaryOp, x: Option<f64>, y: Option<f64>) -> Option<f64> {
        Some(apply_binary(op, false, x?, y?))
    }

    fn select(&mut self, c: Option<f64>, a: Option<f64>, b: Option<f64>) -> Option<f64> {
        // All three: which branch is taken may be another one for the next head.
        let (c, a, b) = (c?, a?, b?);
        Some(if c != 0.0 { a } else { b })
    }

    fn table(&mut self, _: usize, _: Vec<Option<f64>>) -> Option<f64> {
        None
    }

    fn listed(&mut self, _: usize, _: Option<f64>) -> Option<f64> {
        None
    }

    fn after(&mut self, _: Option<f64>) -> Option<f64> {
        None
    }
}

/// Whether a number is finite whatever the positions and the head are.
struct Finite;

/// See [`Finite`]; a constant is also a divisor.
#[derive(Clone, Copy)]
struct Finiteness {
    finite: bool,
    divides: bool,
}

impl From<bool> for Finiteness {
    fn from(finite: bool) -> Finiteness {
        Finiteness { finite, divides: false }
    }
}

impl PairDomain for Finite {
    type Value = Finiteness;

    fn leaf(&mut self, leaf: PairLeaf) -> Finiteness {
        match leaf {
            PairLeaf::QueryPos | PairLeaf::KeyPos | PairLeaf::Head => true.into(),
            PairLeaf::Const(c) => Finiteness {
                finite: c.is_finite(),
                divides: c.is_finite() && c != 0.0,
            },
            PairLeaf::Score | PairLeaf::QueryStream(_) | PairLeaf::KeyStream(_) => false.into(),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Finiteness) -> Finiteness {
        (x.finite && matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Floor)).into()
    }

    fn binary(&mut self, op: BinaryOp, x: Finiteness, y: Finiteness) -> Finiteness {
        match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => (x.finite && y.finite).into(),
            BinaryOp::Div | BinaryOp::Mod => (x.finite && y.divides).into(),
            _ => false.into(),
        }
    }

    fn select(&mut self, _: Finiteness, _: Finiteness, _: Finiteness) -> Finiteness {
        false.into()
    }

    fn table(&mut self, _: usize, _: Vec<Finiteness>) -> Finiteness {
        false.into()
    }

    fn listed(&mut self, _: usize, _: Finiteness) -> Finiteness {
        false.into()
    }

    fn after(&mut self, _: Finiteness) -> Finiteness {
        false.into()
    }
}

impl PairExpr {
    /// The number that an expression of constants is.
    pub fn constant(&self) -> Option<f64> {
        AtHead(None).value(self)
    }

    /// The number that an expression of constants and the query head is for one head.
    pub fn at_head(&self, head: usize) -> Option<f64> {
        AtHead(Some(head)).value(self)
    }

    /// The same with less to compute, where parts are known: constants, and truth values that do not matter.
    pub fn simplified(&self) -> PairExpr {
        if let Some(c) = self.constant() {
            return PairExpr::Const(c);
        }
        match self {
            PairExpr::Unary(op, x) => PairExpr::unary(*op, x.simplified()).folded(),
            PairExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
                let (x, y) = (x.simplified(), y.simplified());
                // What decides alone, and what leaves the other one.
                let decisive = *op == BinaryOp::Or;
                match (x.constant().map(|c| c != 0.0), y.constant().map(|c| c != 0.0)) {
                    (Some(known), _) | (_, Some(known)) if known == decisive => PairExpr::Const(f64::from(decisive)),
                    (Some(_), _) => y,
                    (_, Some(_)) => x,
                    _ => PairExpr::binary(*op, x, y),
                }
            }
            PairExpr::Binary(op, x, y) => PairExpr::binary(*op, x.simplified(), y.simplified()).folded(),
            PairExpr::Select(c, a, b) => match c.simplified() {
                PairExpr::Const(c) => if c != 0.0 { a } else { b }.simplified(),
                c => PairExpr::select(c, a.simplified(), b.simplified()),
            },
            other => other.clone(),
        }
    }

    /// Itself, or the number that it is.
    fn folded(self) -> PairExpr {
        self.constant().map_or(self, PairExpr::Const)
    }

    /// True for sums, differences, products and quotients with constants of positions and finite numbers: never NaN.
    pub fn is_finite(&self) -> bool {
        Finite.value(self).finite
    }
}
