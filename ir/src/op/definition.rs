//! What a policy computes beside what every token updates: numbers of entries, of channels and of blocks.

use crate::{PairExpr, ReduceOp};

/// A number of each entry, or of each channel, that the choice of entries or channels needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// Entries that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many: the `size / 2` before an entry, itself, and the `(size - 1) / 2` behind it.
    pub size: usize,
    /// Instead of these those of its page, which begins at a slot that is a multiple of `size`.
    pub pages: bool,
}

/// How a definition is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number of each entry.
    Entry(PairExpr),
    /// Over those entries of a window of each one for which `among` holds; of none, 0.
    Pool {
        /// Number of the definition.
        of: usize,
        /// Which entries.
        window: Window,
        /// Sum, largest or smallest.
        how: ReduceOp,
        /// Entries that count.
        among: PairExpr,
    },
    /// 1 for the entries with the `count` largest values among those for which `among` holds, of equal values the lower slot
    /// first; 0 for the others.
    Top {
        /// The values.
        by: PairExpr,
        /// How many; a function of numbers of the cache, and of those that are the same [for all](Kind::of_all).
        count: PairExpr,
        /// Entries that compete.
        among: PairExpr,
        /// Entries of all key heads compete with each other, of equal values that of the earlier token first, then that of the lower
        /// head; `count` follows from the token's place ([`Policy::is_of_token`](super::policy::Policy::is_of_token)).
        heads: bool,
    },
    /// Over all entries for which `among` holds, the same number for each entry; of none, 0.
    Over {
        /// Of what.
        of: PairExpr,
        /// Sum, largest or smallest.
        how: ReduceOp,
        /// Entries that count.
        among: PairExpr,
    },
    /// How many of the largest positive numbers among those for which `among` holds add up to `sum` or more: the fewest, all of them where
    /// they do not, none where `sum` is not positive. The same number for each entry or block.
    Fewest {
        /// The numbers.
        of: PairExpr,
        /// What they are to add up to; a function like `count` of [`Kind::Top`].
        sum: PairExpr,
        /// Entries that count.
        among: PairExpr,
    },
    /// Sum of the weights that the last `queries` tokens' queries give each entry, over these and the query heads that share the
    /// key head. The weights are computed anew over the entries that are there, each token seeing those up to its own.
    Seen {
        /// How many tokens.
        queries: usize,
    },
    /// Of each entry: the sum over channels of a function of the number of its key or value, and of numbers of the entry and of the channel.
    VectorSum {
        /// Of what.
        of: PairExpr,
        /// [`PairExpr::Score`] is the number of the value, not of the key.
        values: bool,
    },
    /// Of each entry of a block: the sum of the weights that the queries of the block's tokens give it, which see the entries of the
    /// block alone, all of them. Each query head has its own.
    Within,
    /// Of each channel: over the entries of a block for which `among` holds, of a function of the number of its key or value, and
    /// of numbers of the entry and of the channel; of none, 0.
    Fold {
        /// Of what.
        of: PairExpr,
        /// Sum, largest or smallest.
        how: ReduceOp,
        /// Entries that count.
        among: PairExpr,
        /// [`PairExpr::Score`] is the number of the value, not of the key.
        values: bool,
    },
    /// Of each block: the sum over channels of a function of the query's number and of numbers of the channel, reduced over the
    /// queries that choose together.
    QuerySum {
        /// Of what.
        of: PairExpr,
        /// Sum, largest or smallest.
        over: ReduceOp,
    },
    /// Of each block: over its entries, the sum over channels of a function of the query's number and the key's, reduced over the queries
    /// that choose together.
    EntrySum {
        /// Of what.
        of: PairExpr,
        /// How entries are reduced.
        entries: ReduceOp,
        /// How queries are.
        over: ReduceOp,
    },
    /// 1 for `count` blocks whose values are large, else 0, found by halving groups of blocks (Lee et al. 2024, arXiv:2406.09827): all
    /// where there are no more. Else of `n` blocks, group `g` has those from `n g / count` on. Every group is divided into halves, and
    /// a half counts as much as the block in its middle, `(low + high) / 2` rounded down; the `count` best halves, of equal ones those before, are the next
    /// groups, until each is one block.
    Search {
        /// The values.
        by: PairExpr,
        /// How many.
        count: usize,
    },
    /// Of each channel: a function of the query's number, reduced over the queries that choose together.
    QueryFold {
        /// Of what.
        of: PairExpr,
        /// Sum, largest or smallest.
        over: ReduceOp,
        /// The sum is divided by how many queries there are.
        mean: bool,
    },
    /// Of each block: over all query heads of the layer, or over those that share the key head. Of each entry: over the entries in the same
    /// slot of all key heads that have one, of an earlier definition.
    Heads {
        /// Of what.
        of: PairExpr,
        /// Sum, largest or smallest.
        how: ReduceOp,
        /// Those that share the key head only.
        members: bool,
    },
    /// A number of each channel.
    Channel(PairExpr),
    /// Of each channel: the mean over all entries of a function of the key's number, and of numbers of the entry and of the channel.
    KeyMean(PairExpr),
    /// Of each channel: the mean over the last `queries` tokens and the query heads that share the key head of a function of the query's number.
    QueryMean {
        /// The function.
        of: PairExpr,
        /// How many tokens.
        queries: usize,
    },
}

/// The expressions of a [`Kind`], borrowed as it is.
macro_rules! expressions {
    ($kind:expr) => {
        match $kind {
            Kind::Entry(e) | Kind::Channel(e) | Kind::KeyMean(e) => vec![e],
            Kind::VectorSum { of, .. } => vec![of],
            Kind::Pool { among, .. } => vec![among],
            Kind::Top { by, count, among, .. } => vec![by, count, among],
            Kind::Over { of, among, .. } | Kind::Fold { of, among, .. } => vec![of, among],
            Kind::Fewest { of, sum, among } => vec![of, sum, among],
            Kind::Seen { .. } | Kind::Within => Vec::new(),
            Kind::QueryMean { of, .. } | Kind::Heads { of, .. } => vec![of],
            Kind::QuerySum { of, .. } | Kind::QueryFold { of, .. } | Kind::EntrySum { of, .. } => vec![of],
            Kind::Search { by, .. } => vec![by],
        }
    };
}

impl Kind {
    /// Its expressions.
    pub fn expressions(&self) -> Vec<&PairExpr> {
        expressions!(self)
    }

    /// The same, to be changed.
    pub fn expressions_mut(&mut self) -> Vec<&mut PairExpr> {
        expressions!(self)
    }

    /// Whether a number of an entry depends on entries of other key heads.
    pub fn joins_heads(&self) -> bool {
        matches!(self, Kind::Top { heads: true, .. } | Kind::Heads { .. })
    }

    /// Whether it is the same number for all entries, or for all blocks.
    pub fn of_all(&self) -> bool {
        matches!(self, Kind::Over { .. } | Kind::Fewest { .. })
    }

    /// Whether it has a number for each channel, rather than for each entry.
    pub fn of_channels(&self) -> bool {
        matches!(
            self,
            Kind::Channel(_) | Kind::KeyMean(_) | Kind::QueryMean { .. } | Kind::Fold { .. } | Kind::QueryFold { .. }
        )
    }
}
