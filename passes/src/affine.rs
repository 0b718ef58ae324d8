//! Affine index arithmetic over loop axes: the normal form that says whether an access is contiguous.
//!
//! Not the numbers of `attention::span`: those are bounds, fractions of two unknown positions with a rest that is only known
//! to lie between two numbers, and ask where one is negative. Here values are exact integers over any number of axes of
//! known sizes; quotients and remainders are terms of their own, which cancel, and the question is by how much an index
//! moves from lane to lane. The rules that positions share with generated code are those of [`seqc_ir::Rational`].

use seqc_ir::{Graph, IndexExpr, Op, OpClass, Value};
use std::collections::BTreeMap;

/// What a term of a [`AffineExpr`] multiplies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A loop axis.
    Axis(usize),
    /// Quotient by a positive constant, rounded down.
    Div(Box<AffineExpr>, i64),
    /// Remainder by a positive constant.
    Mod(Box<AffineExpr>, i64),
}

/// `sum(coefficient * atom) + constant`, with no zero coefficients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AffineExpr {
    /// Terms by atom.
    pub terms: BTreeMap<Atom, i64>,
    /// The constant.
    pub constant: i64,
}

impl AffineExpr {
    /// A number.
    pub fn constant(value: i64) -> AffineExpr {
        AffineExpr {
            terms: BTreeMap::new(),
            constant: value,
        }
    }

    /// A loop axis.
    pub fn axis(n: usize) -> AffineExpr {
        AffineExpr::atom(Atom::Axis(n))
    }

    /// What a term multiplies.
    pub fn atom(atom: Atom) -> AffineExpr {
        AffineExpr {
            terms: BTreeMap::from([(atom, 1)]),
            constant: 0,
        }
    }

    /// `self + other`
    pub fn plus(&self, other: &AffineExpr) -> AffineExpr {
        let mut sum = self.clone();
        sum.constant += other.constant;
        for (atom, k) in &other.terms {
            let entry = sum.terms.entry(atom.clone()).or_insert(0);
            *entry += k;
            if *entry == 0 {
                sum.terms.remove(atom);
            }
        }
        sum.join_quotients()
    }

    /// The entry at an index of a tensor with axes of these strides.
    pub fn entry(coords: &[AffineExpr], strides: &[i64]) -> AffineExpr {
        let terms = coords.iter().zip(strides);
        terms.fold(AffineExpr::default(), |sum, (c, s)| sum.plus(&c.times(*s)))
    }

    /// `self * k`
    pub fn times(&self, k: i64) -> AffineExpr {
        if k == 0 {
            return AffineExpr::default();
        }
        AffineExpr {
            terms: self.terms.iter().map(|(a, c)| (a.clone(), c * k)).collect(),
            constant: self.constant * k,
        }
    }

    /// Smallest and largest value over axes of the given sizes.
    pub fn range(&self, sizes: &[usize]) -> (i64, i64) {
        self.terms
            .iter()
            .fold((self.constant, self.constant), |(lo, hi), (atom, k)| {
                let (l, h) = atom_range(atom, sizes);
                if *k >= 0 {
                    (lo + l * k, hi + h * k)
                } else {
                    (lo + h * k, hi + l * k)
                }
            })
    }

    /// `floor(self / k)`, simplified with what the axis sizes allow.
    pub fn div(&self, k: i64, sizes: &[usize]) -> AffineExpr {
        let (whole, rest) = self.split(k);
        let (lo, hi) = rest.range(sizes);
        if lo.div_euclid(k) == hi.div_euclid(k) {
            return whole.plus(&AffineExpr::constant(lo.div_euclid(k)));
        }
        whole.plus(&AffineExpr::atom(Atom::Div(Box::new(rest), k)))
    }

    /// `self mod k` in `0..k`, simplified with what the axis sizes allow.
    pub fn rem(&self, k: i64, sizes: &[usize]) -> AffineExpr {
        let (_, rest) = self.split(k);
        let (lo, hi) = rest.range(sizes);
        if lo.div_euclid(k) == hi.div_euclid(k) {
            return rest.plus(&AffineExpr::constant(-k * lo.div_euclid(k)));
        }
        AffineExpr::atom(Atom::Mod(Box::new(rest), k))
    }

    /// The part divisible by `k`, divided, and the rest.
    fn split(&self, k: i64) -> (AffineExpr, AffineExpr) {
        let (mut whole, mut rest) = (AffineExpr::default(), AffineExpr::default());
        for (atom, c) in &self.terms {
            let target = if c % k == 0 {
                (&mut whole, c / k)
            } else {
                (&mut rest, *c)
            };
            target.0.terms.insert(atom.clone(), target.1);
        }
        whole.constant = self.constant.div_euclid(k);
        rest.constant = self.constant.rem_euclid(k);
        (whole, rest)
    }

    /// `c*k*(x div k) + c*(x mod k)` is `c*x`.
    fn join_quotients(self) -> AffineExpr {
        let found = self.terms.iter().find_map(|(atom, c)| match atom {
            Atom::Mod(x, k) if self.terms.get(&Atom::Div(x.clone(), *k)) == Some(&(c * k)) => Some((x.clone(), *k, *c)),
            _ => None,
        });
        let Some((x, k, c)) = found else { return self };
        let mut joined = self;
        joined.terms.remove(&Atom::Mod(x.clone(), k));
        joined.terms.remove(&Atom::Div(x.clone(), k));
        joined.plus(&x.times(c))
    }

    /// The value of `expr` where its result axes have the values `axes`.
    pub fn of(expr: &IndexExpr, axes: &[AffineExpr], sizes: &[usize]) -> AffineExpr {
        match expr {
            IndexExpr::Axis(n) => axes[*n].clone(),
            IndexExpr::Const(c) => AffineExpr::constant(*c),
            IndexExpr::Add(a, b) => AffineExpr::of(a, axes, sizes).plus(&AffineExpr::of(b, axes, sizes)),
            IndexExpr::Mul(a, k) => AffineExpr::of(a, axes, sizes).times(*k),
            IndexExpr::Div(a, k) => AffineExpr::of(a, axes, sizes).div(*k, sizes),
            IndexExpr::Mod(a, k) => AffineExpr::of(a, axes, sizes).rem(*k, sizes),
        }
    }

    /// Terms that it is written with, those inside quotients and remainders too.
    pub fn length(&self) -> usize {
        let of = |atom: &Atom| match atom {
            Atom::Axis(_) => 1,
            Atom::Div(x, _) | Atom::Mod(x, _) => 1 + x.length(),
        };
        self.terms.keys().map(of).sum()
    }

    /// True when the value depends on axis `n`.
    pub fn uses(&self, n: usize) -> bool {
        self.terms.keys().any(|atom| match atom {
            Atom::Axis(a) => *a == n,
            Atom::Div(x, _) | Atom::Mod(x, _) => x.uses(n),
        })
    }

    /// True when the value depends on any axis for which `test` holds.
    pub fn uses_any(&self, test: &dyn Fn(usize) -> bool) -> bool {
        self.terms.keys().any(|atom| match atom {
            Atom::Axis(a) => test(*a),
            Atom::Div(x, _) | Atom::Mod(x, _) => x.uses_any(test),
        })
    }

    /// The single axis that this is, if it is one.
    pub fn as_axis(&self) -> Option<usize> {
        match (self.constant, self.terms.iter().next()) {
            (0, Some((Atom::Axis(n), 1))) if self.terms.len() == 1 => Some(*n),
            _ => None,
        }
    }

    /// How the value moves along `lane` when `lane` runs over one block of `width` that starts at a multiple of `width`.
    pub fn stride(&self, lane: usize, width: i64) -> Stride {
        let mut total = 0;
        for (atom, c) in &self.terms {
            let step = match atom {
                Atom::Axis(n) => i64::from(*n == lane),
                Atom::Div(x, k) | Atom::Mod(x, k) => match x.stride(lane, width) {
                    Stride::Fixed(0) => 0,
                    // The block stays inside one period when the period and the start are whole blocks.
                    Stride::Fixed(1) if k % width == 0 && x.starts_whole_blocks(lane, width) => {
                        i64::from(matches!(atom, Atom::Mod(..)))
                    }
                    _ => return Stride::Irregular,
                },
            };
            total += step * c;
        }
        Stride::Fixed(total)
    }

    /// True when everything but the lane axis is a multiple of `width`.
    fn starts_whole_blocks(&self, lane: usize, width: i64) -> bool {
        self.constant % width == 0
            && self
                .terms
                .iter()
                .all(|(a, c)| matches!(a, Atom::Axis(n) if *n == lane) || c % width == 0)
    }
}

/// See [`AffineExpr::stride`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// Moves by this much per lane: 0 is uniform, 1 contiguous.
    Fixed(i64),
    /// No constant step.
    Irregular,
}

fn atom_range(atom: &Atom, sizes: &[usize]) -> (i64, i64) {
    match atom {
        Atom::Axis(n) => (0, sizes[*n].max(1) as i64 - 1),
        Atom::Div(x, k) => {
            let (l, h) = x.range(sizes);
            (l.div_euclid(*k), h.div_euclid(*k))
        }
        Atom::Mod(x, k) => {
            let (l, h) = x.range(sizes);
            if l.div_euclid(*k) == h.div_euclid(*k) {
                (l.rem_euclid(*k), h.rem_euclid(*k))
            } else {
                (0, k - 1)
            }
        }
    }
}

/// Row-major linear index of `coords` in a tensor of the given sizes.
pub fn linearise(coords: &[AffineExpr], sizes: &[usize]) -> AffineExpr {
    coords
        .iter()
        .zip(sizes)
        .fold(AffineExpr::default(), |acc, (c, n)| acc.times(*n as i64).plus(c))
}

/// Coordinates in a tensor of the given sizes of the row-major linear index `at`; `axes` are the sizes of the loop axes.
pub fn delinearise(at: &AffineExpr, sizes: &[usize], axes: &[usize]) -> Vec<AffineExpr> {
    let mut coords = vec![AffineExpr::default(); sizes.len()];
    let mut rest = at.clone();
    for (i, n) in sizes.iter().enumerate().rev() {
        if i == 0 {
            coords[0] = rest.clone();
        } else {
            coords[i] = rest.rem(*n as i64, axes);
            rest = rest.div(*n as i64, axes);
        }
    }
    coords
}

/// Longest index that is followed through one more view.
const MAX_LENGTH: usize = 128;

/// A value that is read at indices over loop axes.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// What is read.
    pub value: Value,
    /// Index along each of its axes.
    pub coords: Vec<AffineExpr>,
    /// Sizes of the loop axes.
    pub axes: &'a [usize],
}

/// The entry of a value with a row-major linear index.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearAccess {
    /// What is read.
    pub value: Value,
    /// The index.
    pub at: AffineExpr,
}

impl<'a> Access<'a> {
    /// A value of the given sizes, read over its own axes.
    pub fn whole(value: Value, sizes: &'a [usize]) -> Access<'a> {
        Access {
            value,
            coords: (0..sizes.len()).map(AffineExpr::axis).collect(),
            axes: sizes,
        }
    }

    /// The access composed with the views and reshapes that produce its value, up to one where `stop` holds or beyond which
    /// the index would be too long.
    pub fn through_views(self, graph: &Graph, stop: &dyn Fn(Value) -> bool) -> LinearAccess {
        let (mut value, mut coords) = (self.value, self.coords);
        while !stop(value)
            && coords.iter().map(AffineExpr::length).sum::<usize>() <= MAX_LENGTH
            && let Some(inner) = through(graph, value, &coords, self.axes)
        {
            (value, coords) = (graph.operands(value)[0], inner);
        }
        let at = linearise(&coords, &graph.ty(value).sizes());
        LinearAccess { value, at }
    }
}

/// Indices of the operand of a view or a reshape at `coords` of its result, over loop axes of the given sizes; `None` for
/// other operations.
pub fn through(graph: &Graph, v: Value, coords: &[AffineExpr], axes: &[usize]) -> Option<Vec<AffineExpr>> {
    if let Op::View(map) = graph.op(v) {
        return Some(map.iter().map(|e| AffineExpr::of(e, coords, axes)).collect());
    }
    let Op::Reshape = graph.op(v) else { return None };
    let flat = linearise(coords, &graph.ty(v).sizes());
    Some(delinearise(&flat, &graph.ty(graph.operands(v)[0]).sizes(), axes))
}

/// What one entry of `v`, at `coords`, is computed from when that is one entry of each operand: the operands and their
/// indices. `None` for leaves, and for what reads several entries, entries that data pick, or earlier tokens.
pub fn operand_entries(
    graph: &Graph,
    v: Value,
    coords: &[AffineExpr],
    axes: &[usize],
) -> Option<Vec<(Value, Vec<AffineExpr>)>> {
    let operands = graph.operands(v).into_iter();
    match graph.class(v) {
        OpClass::Elementwise => Some(operands.map(|o| (o, coords.to_vec())).collect()),
        OpClass::Index => {
            let inner = through(graph, v, coords, axes)?;
            Some(operands.map(|o| (o, inner.clone())).collect())
        }
        OpClass::Leaf | OpClass::Concat | OpClass::Lookup | OpClass::Reduction => None,
        OpClass::Product | OpClass::Lag | OpClass::Sequence => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_and_back_is_contiguous() {
        // [6, 64] seen as [384]: coordinates by division, then linearised again.
        let flat = AffineExpr::axis(0);
        let coords = delinearise(&flat, &[6, 64], &[384]);
        assert_eq!(linearise(&coords, &[6, 64]), flat);
        assert_eq!(coords[0].stride(0, 16), Stride::Fixed(0));
        assert_eq!(coords[1].stride(0, 16), Stride::Fixed(1));
    }

    #[test]
    fn quotient_of_small_rest_disappears() {
        // (64 h + e) / 64 = h for e < 64.
        let at = AffineExpr::axis(0).times(64).plus(&AffineExpr::axis(1));
        assert_eq!(at.div(64, &[6, 64]), AffineExpr::axis(0));
        assert_eq!(at.rem(64, &[6, 64]), AffineExpr::axis(1));
    }

    #[test]
    fn odd_period_is_irregular() {
        let at = AffineExpr::axis(0).rem(20, &[60]);
        assert_eq!(at.stride(0, 16), Stride::Irregular);
    }
}
