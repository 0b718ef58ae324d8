//! What a program asks another one that drafts for it, and what that says: lines of JSON.

use serde::{Deserialize, Serialize};

/// The first line of the program that drafts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) model: String,
    /// Tokens among which it chooses.
    pub(crate) vocab: usize,
}

/// A line of the program that asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The tokens of the last text, drafts included, that the new one begins with.
    pub(crate) keep: usize,
    /// What comes after them, at least one token.
    pub(crate) tokens: Vec<i64>,
    /// The most tokens of the draft.
    pub(crate) most: usize,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) tokens: Vec<i64>,
}
