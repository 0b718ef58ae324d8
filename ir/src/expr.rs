//! Index maps of views: an index into a source axis as a function of the result's indices.

/// An index into a source axis, as a function of the indices of the result axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IndexExpr {
    /// Index along result axis `n`.
    Axis(usize),
    /// A constant.
    Const(i64),
    /// Sum.
    Add(Box<IndexExpr>, Box<IndexExpr>),
    /// Product with a constant.
    Mul(Box<IndexExpr>, i64),
    /// Division by a positive constant, rounded down.
    Div(Box<IndexExpr>, i64),
    /// Remainder by a positive constant, in `0..n`.
    Mod(Box<IndexExpr>, i64),
}

impl IndexExpr {
    /// Value at the given result indices.
    pub fn eval(&self, axes: &[i64]) -> i64 {
        match self {
            IndexExpr::Axis(n) => axes[*n],
            IndexExpr::Const(c) => *c,
            IndexExpr::Add(a, b) => a.eval(axes) + b.eval(axes),
            IndexExpr::Mul(a, k) => a.eval(axes) * k,
            IndexExpr::Div(a, k) => a.eval(axes).div_euclid(*k),
            IndexExpr::Mod(a, k) => a.eval(axes).rem_euclid(*k),
        }
    }

    /// Smallest and largest value over all result indices of the given sizes.
    pub fn range(&self, sizes: &[usize]) -> (i64, i64) {
        match self {
            IndexExpr::Axis(n) => (0, sizes[*n] as i64 - 1),
            IndexExpr::Const(c) => (*c, *c),
            IndexExpr::Add(a, b) => {
                let ((al, ah), (bl, bh)) = (a.range(sizes), b.range(sizes));
                (al + bl, ah + bh)
            }
            IndexExpr::Mul(a, k) => {
                let (l, h) = a.range(sizes);
                if *k >= 0 { (l * k, h * k) } else { (h * k, l * k) }
            }
            IndexExpr::Div(a, k) => {
                let (l, h) = a.range(sizes);
                (l.div_euclid(*k), h.div_euclid(*k))
            }
            IndexExpr::Mod(a, k) => {
                let (l, h) = a.range(sizes);
                if l.div_euclid(*k) == h.div_euclid(*k) {
                    (l.rem_euclid(*k), h.rem_euclid(*k))
                } else {
                    (0, k - 1)
                }
            }
        }
    }

    /// Axes, numbers and operations that it is written with.
    pub fn length(&self) -> usize {
        match self {
            IndexExpr::Axis(_) | IndexExpr::Const(_) => 1,
            IndexExpr::Add(a, b) => 1 + a.length() + b.length(),
            IndexExpr::Mul(a, _) | IndexExpr::Div(a, _) | IndexExpr::Mod(a, _) => 1 + a.length(),
        }
    }

    /// The same expression with every result axis replaced by another one.
    pub fn map_axes(&self, axis: &dyn Fn(usize) -> usize) -> IndexExpr {
        let sub = |e: &IndexExpr| Box::new(e.map_axes(axis));
        match self {
            IndexExpr::Axis(n) => IndexExpr::Axis(axis(*n)),
            IndexExpr::Const(c) => IndexExpr::Const(*c),
            IndexExpr::Add(a, b) => IndexExpr::Add(sub(a), sub(b)),
            IndexExpr::Mul(a, k) => IndexExpr::Mul(sub(a), *k),
            IndexExpr::Div(a, k) => IndexExpr::Div(sub(a), *k),
            IndexExpr::Mod(a, k) => IndexExpr::Mod(sub(a), *k),
        }
    }

    /// The same expression with every result axis replaced by the expression that `axes` gives for it.
    pub fn substitute(&self, axes: &[IndexExpr]) -> IndexExpr {
        let sub = |e: &IndexExpr| Box::new(e.substitute(axes));
        match self {
            IndexExpr::Axis(n) => axes[*n].clone(),
            IndexExpr::Const(c) => IndexExpr::Const(*c),
            IndexExpr::Add(a, b) => IndexExpr::Add(sub(a), sub(b)),
            IndexExpr::Mul(a, k) => IndexExpr::Mul(sub(a), *k),
            IndexExpr::Div(a, k) => IndexExpr::Div(sub(a), *k),
            IndexExpr::Mod(a, k) => IndexExpr::Mod(sub(a), *k),
        }
    }
}

/// Longest map of two views that become one. An index that names an axis twice doubles in length with every view that it is composed with: a chain of
/// such views stays a chain.
const MAX_JOINED: usize = 256;

/// The composition of two views, `outer` of `inner`, as one view of the operand of `inner`; `None` where it would be too long.
pub fn joined_views(inner: &[IndexExpr], outer: &[IndexExpr]) -> Option<Vec<IndexExpr>> {
    let joined: Vec<IndexExpr> = inner.iter().map(|e| e.substitute(outer)).collect();
    (joined.iter().map(IndexExpr::length).sum::<usize>() <= MAX_JOINED).then_some(joined)
}

/// Where a view of this many axes only puts those of its operand in another order: at which axis of the view each of them is.
pub fn permutation(map: &[IndexExpr], rank: usize) -> Option<Vec<usize>> {
    let axis = |at: &IndexExpr| match at {
        IndexExpr::Axis(n) => Some(*n),
        _ => None,
    };
    let places: Vec<usize> = map.iter().map(axis).collect::<Option<_>>()?;
    let mut sorted = places.clone();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank).then_some(places)
}
