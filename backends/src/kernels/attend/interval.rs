//! Interval analysis of a predicate for a tile of queries and keys: whether it holds for all pairs, or for none.
//!
//! Interval arithmetic on positions and query streams, in scalar code; what depends on the data of keys stays open. Tiles without
//! a pair are skipped, tiles with all pairs need no mask.

use super::{
    bounds::Bounds,
    rational_lanes::{comparison, fraction, turned, whole_bound},
    table::Tables,
};
use crate::kernel::{Cmp, Func, Val};
use seqc_ir::{BinaryOp, Nan, Operand, PairDomain, PairExpr, PairLeaf, Rational, UnaryOp, by_cases};
use seqc_passes::attention::named::List;

/// Denominators and factors stay below this.
const SMALL: i64 = 1 << 20;
/// The value used as infinity for positions, and for constants.
const FAR: f64 = (1u64 << 40) as f64;

/// A boolean, known at compile time or not.
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

/// For which pairs of a tile a truth value holds.
#[derive(Clone, Copy)]
pub(super) struct Coverage {
    /// For all.
    pub(super) all: Bit,
    /// For none.
    pub(super) none: Bit,
}

impl Coverage {
    /// No bound is known.
    const OPEN: Coverage = Coverage {
        all: Bit::Known(false),
        none: Bit::Known(false),
    };

    fn not(self) -> Coverage {
        Coverage {
            all: self.none,
            none: self.all,
        }
    }

    pub(super) fn and(self, f: &mut Func, other: Coverage) -> Coverage {
        Coverage {
            all: self.all.and(f, other.all),
            none: self.none.or(f, other.none),
        }
    }

    fn or(self, f: &mut Func, other: Coverage) -> Coverage {
        let both = self.not().and(f, other.not());
        both.not()
    }

    fn known(holds: bool) -> Coverage {
        Coverage {
            all: Bit::Known(holds),
            none: Bit::Known(!holds),
        }
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

impl From<Bounds> for Range {
    /// The ends are integers; the values between them need not be: whatever is found holds for those, too.
    fn from(bounds: Bounds) -> Range {
        Range {
            low: bounds.low,
            high: bounds.high,
            factor: 1,
            den: 1,
        }
    }
}

/// A tile of queries and keys.
pub(super) struct PairTile<'a> {
    pub(super) tables: &'a Tables,
    /// Positions of the queries.
    pub(super) query: Bounds,
    /// Positions of the keys.
    pub(super) key: Bounds,
    /// Key head.
    pub(super) group: Val,
    /// The query heads that share it.
    pub(super) head: Bounds,
    /// Integer bounds of each query stream, where there are any.
    pub(super) streams: Vec<Option<Bounds>>,
    /// Lists of the queries.
    pub(super) named: &'a [List],
    /// For which of its pairs each of them names the key, where that is known.
    pub(super) lists: Vec<Coverage>,
}

impl PairTile<'_> {
    /// Bounds of a predicate.
    pub(super) fn coverage(&self, f: &mut Func, predicate: &PairExpr) -> Coverage {
        TileCoverage { tile: self, f }.value(predicate).coverage()
    }
}

/// Bounds of an expression for a tile.
#[derive(Clone, Copy)]
enum Known {
    Const(f64),
    Number(Range),
    Truth(Coverage),
    Nothing,
}

impl Known {
    fn coverage(self) -> Coverage {
        match self {
            Known::Const(c) => Coverage::known(c != 0.0),
            Known::Truth(coverage) => coverage,
            Known::Number(_) | Known::Nothing => Coverage::OPEN,
        }
    }

    fn operand(self) -> Operand<Range> {
        match self {
            Known::Const(c) => Operand::Const(c),
            Known::Number(x) => Operand::Number(x),
            Known::Truth(_) | Known::Nothing => Operand::Other,
        }
    }
}

impl From<Option<Range>> for Known {
    fn from(range: Option<Range>) -> Known {
        range.map_or(Known::Nothing, Known::Number)
    }
}

/// Evaluates expressions to their bounds for a tile.
struct TileCoverage<'a> {
    tile: &'a PairTile<'a>,
    f: &'a mut Func,
}

impl TileCoverage<'_> {
    /// False where no bounds follow from those of the operands: no code is written for these.
    fn is_bounded(&self, expr: &PairExpr) -> bool {
        match expr {
            PairExpr::Unary(op, _) => matches!(op, UnaryOp::Not | UnaryOp::Neg | UnaryOp::Floor),
            PairExpr::Binary(BinaryOp::Mul, x, y) => {
                let factor = y.constant().or_else(|| x.constant());
                factor.is_some_and(|c| self.fraction(c).is_some())
            }
            PairExpr::Binary(BinaryOp::Div, _, y) => y.constant().is_some_and(|c| self.fraction(c).is_some()),
            PairExpr::Binary(op, ..) => op.is_predicate() || matches!(op, BinaryOp::Add | BinaryOp::Sub),
            PairExpr::Select(..) => expr.is_truth(),
            PairExpr::Table(..) | PairExpr::Listed(..) => false,
            _ => true,
        }
    }

    /// `x cmp y`
    fn compare(&mut self, cmp: Cmp, x: Known, y: Known) -> Coverage {
        match (x, y) {
            (Known::Number(x), Known::Const(c)) => self.compare_constant(cmp, x, c),
            (Known::Const(c), Known::Number(y)) => self.compare_constant(turned(cmp), y, c),
            (Known::Number(x), Known::Number(y)) if matches!(cmp, Cmp::Eq | Cmp::Ne) => self.equal(cmp, x, y),
            (Known::Number(x), Known::Number(y)) => {
                let Some(d) = self.minus(x, y) else {
                    return Coverage::OPEN;
                };
                let zero = self.f.i64(0);
                self.order(cmp, d, zero)
            }
            _ => Coverage::OPEN,
        }
    }

    fn compare_constant(&mut self, cmp: Cmp, x: Range, c: f64) -> Coverage {
        // Positions times factors are not beyond infinity times these.
        let far = FAR * x.factor as f64;
        let Some((cmp, bound)) = whole_bound(cmp, c * x.den as f64, far) else {
            return Coverage::OPEN;
        };
        let bound = self.f.i64(bound as i64);
        if matches!(cmp, Cmp::Eq | Cmp::Ne) {
            let bound = Range {
                low: bound,
                high: bound,
                factor: 1,
                den: x.den,
            };
            return self.equal(cmp, x, bound);
        }
        self.order(cmp, x, bound)
    }

    /// `x cmp bound`, `bound` over the denominator of `x`.
    fn order(&mut self, cmp: Cmp, x: Range, bound: Val) -> Coverage {
        let (worst, best) = match cmp {
            Cmp::Lt | Cmp::Le => (x.high, x.low),
            _ => (x.low, x.high),
        };
        let all = self.f.cmp(cmp, worst, bound);
        let some = self.f.cmp(cmp, best, bound);
        Coverage {
            all: Bit::Val(all),
            none: Bit::Val(self.f.not(some)),
        }
    }

    /// Equal everywhere only where both are one and the same number; nowhere where the ranges are apart.
    fn equal(&mut self, cmp: Cmp, x: Range, y: Range) -> Coverage {
        let Some(d) = self.minus(x, y) else {
            return Coverage::OPEN;
        };
        let f = &mut *self.f;
        let zero = f.i64(0);
        let (low, high) = (f.cmp(Cmp::Eq, d.low, zero), f.cmp(Cmp::Eq, d.high, zero));
        let all = f.and(low, high);
        let (above, below) = (f.cmp(Cmp::Gt, d.low, zero), f.cmp(Cmp::Lt, d.high, zero));
        let equal = Coverage {
            all: Bit::Val(all),
            none: Bit::Val(f.or(above, below)),
        };
        if cmp == Cmp::Eq { equal } else { equal.not() }
    }
}

impl PairDomain for TileCoverage<'_> {
    type Value = Known;

    fn value(&mut self, expr: &PairExpr) -> Known {
        if let Some(c) = expr.constant() {
            return Known::Const(c);
        }
        if let (Some(table), false) = (self.tile.tables.find(expr), expr.is_truth()) {
            let bounds = table.integral.then(|| table.bounds(self.f, self.tile.group));
            return bounds.map(Range::from).into();
        }
        let list = self.tile.named.iter().position(|list| list.says(expr));
        if let Some(coverage) = list.and_then(|n| self.tile.lists.get(n)) {
            return Known::Truth(*coverage);
        }
        if let PairExpr::Binary(op, x, y) = expr
            && let Some(cases) = by_cases(*op, x, y, Nan::Unordered)
        {
            return self.value(&cases);
        }
        if self.is_bounded(expr) {
            self.of_parts(expr)
        } else {
            Known::Nothing
        }
    }

    fn leaf(&mut self, leaf: PairLeaf) -> Known {
        let tile = self.tile;
        match leaf {
            PairLeaf::QueryPos => Known::Number(tile.query.into()),
            PairLeaf::KeyPos => Known::Number(tile.key.into()),
            PairLeaf::Head => Known::Number(tile.head.into()),
            PairLeaf::QueryStream(n) => tile.streams[n].map(Range::from).into(),
            PairLeaf::Const(c) => Known::Const(c),
            PairLeaf::Score | PairLeaf::KeyStream(_) => Known::Nothing,
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Known) -> Known {
        match x {
            _ if op == UnaryOp::Not => Known::Truth(x.coverage().not()),
            Known::Number(x) => self.exact_unary(op, x).into(),
            Known::Const(_) | Known::Truth(_) | Known::Nothing => Known::Nothing,
        }
    }

    fn binary(&mut self, op: BinaryOp, x: Known, y: Known) -> Known {
        if let Some(cmp) = comparison(op) {
            return Known::Truth(self.compare(cmp, x, y));
        }
        match op {
            BinaryOp::And => Known::Truth(x.coverage().and(self.f, y.coverage())),
            BinaryOp::Or => Known::Truth(x.coverage().or(self.f, y.coverage())),
            _ => self.exact_binary(op, x.operand(), y.operand()).into(),
        }
    }

    fn select(&mut self, c: Known, a: Known, b: Known) -> Known {
        let (c, a, b) = (c.coverage(), a.coverage(), b.coverage());
        let (then, otherwise) = (c.and(self.f, a), c.not().and(self.f, b));
        Known::Truth(then.or(self.f, otherwise))
    }

    fn table(&mut self, _: usize, _: Vec<Known>) -> Known {
        Known::Nothing
    }

    fn listed(&mut self, _: usize, _: Known) -> Known {
        Known::Nothing
    }

    fn after(&mut self, _: Known) -> Known {
        Known::Nothing
    }
}

impl Rational for TileCoverage<'_> {
    type Number = Range;

    fn constant(&mut self, c: f64) -> Option<Range> {
        let (up, den) = fraction(c, FAR)?;
        let up = self.f.i64(up);
        Some(Range {
            low: up,
            high: up,
            factor: 1,
            den,
        })
    }

    fn fraction(&self, c: f64) -> Option<(i64, i64)> {
        // Nothing times what is no number is no number.
        fraction(c, FAR).filter(|(up, _)| *up != 0)
    }

    fn times(&mut self, x: Range, up: i64, down: i64) -> Option<Range> {
        let factor = x.factor.checked_mul(up.abs().max(1)).filter(|n| *n < SMALL)?;
        let den = x.den.checked_mul(down).filter(|n| *n < SMALL)?;
        let by = self.f.i64(up);
        let (a, b) = (self.f.mul(x.low, by), self.f.mul(x.high, by));
        let (low, high) = if up < 0 { (b, a) } else { (a, b) };
        Some(Range { low, high, factor, den })
    }

    fn plus(&mut self, x: Range, y: Range) -> Option<Range> {
        let (x, y) = if x.den == y.den {
            (x, y)
        } else {
            (self.times(x, y.den, y.den)?, self.times(y, x.den, x.den)?)
        };
        Some(Range {
            low: self.f.add(x.low, y.low),
            high: self.f.add(x.high, y.high),
            factor: x.factor.checked_add(y.factor).filter(|n| *n < SMALL)?,
            den: x.den,
        })
    }

    fn minus(&mut self, x: Range, y: Range) -> Option<Range> {
        let y = self.times(y, -1, 1)?;
        self.plus(x, y)
    }

    fn floor(&mut self, x: Range) -> Option<Range> {
        let den = self.f.i64(x.den);
        Some(Range {
            low: self.f.floor_div(x.low, den),
            high: self.f.floor_div(x.high, den),
            factor: x.factor,
            den: 1,
        })
    }

    fn remainder(&mut self, _: Operand<Range>, _: f64) -> Option<Range> {
        None
    }
}
