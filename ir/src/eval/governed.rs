//! What a cache that a policy governs carries from token to token.

use super::data::Data;
use std::collections::VecDeque;

/// Where a token is in its sequence and in a prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) position: usize,
    /// Tokens of the prompt; `None`: its end has not been said.
    pub(super) prompt: Option<usize>,
}

/// The cache of one key head.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadCache {
    pub(super) entries: Vec<Entry>,
    pub(super) counters: Vec<f64>,
    pub(super) coded_keys: usize,
    pub(super) coded_values: usize,
    /// The channels that coded keys have.
    pub(super) channels: Option<Vec<usize>>,
    /// The last tokens' queries, oldest first.
    pub(super) queries: VecDeque<Query>,
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: usize,
    pub(super) key: Vec<f64>,
    pub(super) value: Vec<f64>,
    pub(super) memories: Vec<f64>,
}

/// The queries of one token for a key head, with what its predicate and score read.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) position: usize,
    pub(super) operands: Vec<Data>,
}
