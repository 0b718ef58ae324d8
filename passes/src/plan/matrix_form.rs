//! The matrix form of a scan: the factors that a chunk of tokens multiplies.

use crate::affine::AffineExpr;
use seqc_ir::Value;

/// A value at indices over the axes of a scan's loops: the kept ones, then the reduced ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// The value.
    pub value: Value,
    /// Index along each of its axes.
    pub coords: Vec<AffineExpr>,
    /// Of a truth value: the factor is 1 where it is this, else 0.
    pub keeps: Option<bool>,
}

/// The matrix form of a scan: each list of factors is a product.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunked {
    /// `a[h]`
    pub decay: Vec<Factor>,
    /// `k[h, n]`
    pub key: Vec<Factor>,
    /// `v[h, p]`
    pub value: Vec<Factor>,
    /// `q[h, n]`
    pub query: Vec<Factor>,
    /// What the value is corrected by, in a delta rule.
    pub correction: Option<Correction>,
    /// `y[h, p]`
    pub sum: Value,
    /// So many heads in a row have the same keys and queries.
    pub shared: usize,
    /// Tokens of a block.
    pub block: usize,
    /// Chunks of so many tokens or more are computed this way; `None`: the scan is cheaper for all of them.
    pub shortest: Option<usize>,
    /// What a token of a chunk of [`Settings::CHUNK`](super::Settings::CHUNK) costs in either form, in additions.
    pub costs: Costs,
}

/// The value that is written is `v[h, p] - g[h] sum(n: r[h, n] prev(S)[h, n, p])`: a generalised Householder matrix
/// multiplies the state. Over a block this is a triangular system (the WY form; Yang et al. 2024, arXiv:2406.06484, section 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// `g[h]`
    pub gain: Vec<Factor>,
    /// `r[h, n]`
    pub probe: Vec<Factor>,
}

/// Costs of a token in the two forms, in additions of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// From token to token.
    pub by_tokens: f64,
    /// Matrix products.
    pub products: f64,
}
