//! How much was drafted, and how much of it was right.

/// What became of drafts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DraftTotals {
    /// Tokens that were drafted and read.
    pub drafted: u64,
    /// Tokens of these that the model chose.
    pub accepted: u64,
}
