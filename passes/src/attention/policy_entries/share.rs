//! Parts of the entries of a cache.

use super::head::Count;

/// Some of the entries of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of them.
    All,
    /// Those with keys as they are.
    PlainKeys,
    /// Those with values as they are.
    PlainValues,
    /// Those with coded keys.
    CodedKeys,
    /// Those with coded values.
    CodedValues,
    /// Blocks that are closed, not entries.
    Blocks,
    /// Those from the first block on that are in no closed one.
    Open,
}

impl Share {
    /// All shares.
    pub(super) const EACH: [Share; 7] = [
        Share::All,
        Share::PlainKeys,
        Share::PlainValues,
        Share::CodedKeys,
        Share::CodedValues,
        Share::Blocks,
        Share::Open,
    ];

    /// Whether every token adds an entry, before any leaves.
    pub(crate) fn is_appended(self) -> bool {
        match self {
            Share::All | Share::PlainKeys | Share::PlainValues | Share::Open => true,
            Share::CodedKeys | Share::CodedValues | Share::Blocks => false,
        }
    }

    /// How many entries these are.
    pub(super) fn of(self, count: Count) -> usize {
        match self {
            Share::All => count.entries,
            Share::PlainKeys => count.entries - count.keys,
            Share::PlainValues => count.entries - count.values,
            Share::CodedKeys => count.keys,
            Share::CodedValues => count.values,
            Share::Blocks => count.blocks,
            Share::Open => count.open,
        }
    }
}
