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

/// A product of factors, or the negative of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Term {
    /// What is multiplied.
    pub factors: Vec<Factor>,
    /// Whether the product is subtracted.
    pub negative: bool,
}

/// The matrix form of a scan, `S = diag(a) S' + sum over writes: k u^T`, read as `y = S^T q` once or several times: each list of factors
/// is a product.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunked {
    /// `a[h]`, or `a[h, n]` if it is diagonal.
    pub decay: Vec<Factor>,
    /// Whether the decay differs along `n`.
    pub diagonal: bool,
    /// What a token adds to the state, in order.
    pub writes: Vec<Write>,
    /// How results read the state, at least once.
    pub queries: Vec<Query>,
    /// So many heads in a row have the same keys and queries, and the same decays if these are diagonal.
    pub shared: usize,
    /// Tokens of a block.
    pub block: usize,
    /// Chunks of so many tokens or more are computed this way; `None`: the scan is cheaper for all of them.
    pub shortest: Option<usize>,
    /// What a token of a chunk of [`Settings::CHUNK`](super::Settings::CHUNK) costs in either form, in additions.
    pub costs: Costs,
}

/// A read of the state, `y = S^T q`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `q[h, n]`
    pub factors: Vec<Factor>,
    /// Whether it meets the previous state, `y = S'^T q`, as in models that add a bonus for the token itself (RWKV).
    pub reads_previous: bool,
    /// `y[h, p]`
    pub sum: Value,
}

/// An outer product `k u^T` of a key and a value, where `u` is `v`, or `v` with what the state holds at some key.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// `k[h, n]`
    pub key: Vec<Factor>,
    /// `v[h, p]`; `None`: zero.
    pub value: Option<Term>,
    /// What the value is corrected by, in a delta rule.
    pub correction: Option<Correction>,
}

/// The value that is written is `v[h, p] + g[h] sum(n: r[h, n] X[h, n, p])`, where `X` is a state on the way from the previous to
/// the next one: a generalised Householder matrix multiplies the state. Over a block this is a triangular system (the WY form;
/// Yang et al. 2024, arXiv:2406.06484, section 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// `g[h]`
    pub gain: Term,
    /// `r[h, n]`
    pub probe: Vec<Factor>,
    /// `X` has the decay of the token and so many of its writes; 0: it is the previous state.
    pub after: usize,
}

/// Costs of a token in the two forms, in additions of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// From token to token.
    pub by_tokens: f64,
    /// Matrix products.
    pub products: f64,
}

impl Chunked {
    /// Writes of a token whose values are corrected by what the state holds.
    pub fn corrected(&self) -> usize {
        self.writes.iter().filter(|write| write.correction.is_some()).count()
    }

    /// All factors of all products.
    pub(super) fn factors(&self) -> impl Iterator<Item = &Factor> {
        self.decay
            .iter()
            .chain(self.queries.iter().flat_map(|query| &query.factors))
            .chain(self.writes.iter().flat_map(Write::factors))
    }
}

impl Write {
    /// Whether its value is corrected by what the token itself wrote.
    pub(super) fn reads_own_token(&self) -> bool {
        self.correction.as_ref().is_some_and(|correction| correction.after > 0)
    }

    fn factors(&self) -> impl Iterator<Item = &Factor> {
        let correction = self.correction.iter();
        let correction = correction.flat_map(|c| c.gain.factors.iter().chain(&c.probe));
        let value = self.value.iter().flat_map(|value| &value.factors);
        self.key.iter().chain(value).chain(correction)
    }
}
