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

impl At {
    /// Whether the token is one of the prompt.
    pub(super) fn is_prompt(self) -> bool {
        self.prompt.is_none_or(|prompt| self.position < prompt)
    }
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
    /// Blocks that are closed.
    pub(super) blocks: Vec<ClosedBlock>,
    /// What the query heads that share the key head chose last.
    pub(super) choices: Vec<Choice>,
    /// Blocks that were closed then.
    pub(super) known: usize,
}

impl HeadCache {
    /// How many of the entries are of tokens before a position.
    pub(super) fn before(&self, position: usize) -> usize {
        let entries = self.entries.iter();
        entries.take_while(|entry| entry.position < position).count()
    }
}

/// Values of [`crate::policy::Blocks::choosing`] of one query head: of each closed block, or of each channel.
pub(super) type Choice = Vec<Vec<f64>>;

/// What is kept of a block.
#[derive(Clone, Debug)]
pub(super) struct ClosedBlock {
    /// For each query head that shares the key head, the values of [`crate::policy::Blocks::closing`]: one, or one of each channel.
    pub(super) numbers: Vec<Vec<Vec<f64>>>,
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: usize,
    pub(super) key: Vec<f64>,
    pub(super) value: Vec<f64>,
    /// What predicate and score read at its token.
    pub(super) streams: Vec<Data>,
    /// One value, or one for each query head that shares the key head.
    pub(super) memories: Vec<Vec<f64>>,
}

/// The queries of one token for a key head, with what its predicate and score read.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) position: usize,
    pub(super) operands: Vec<Data>,
}
