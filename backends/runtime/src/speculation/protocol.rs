//! What a program asks another one that drafts for it, and what that says: lines of JSON.

use serde::{Deserialize, Serialize};

use crate::Result;

/// Number of this protocol. Programs of another one are refused.
pub(super) const PROTOCOL: u32 = 2;

/// The first line of the program that drafts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) model: String,
    /// Tokens among which it chooses.
    pub(crate) vocab: usize,
    #[serde(default)]
    pub(crate) protocol: u32,
}

impl Hello {
    /// The first line of a program of this protocol.
    pub(crate) fn new(model: String, vocab: usize) -> Hello {
        Hello {
            model,
            vocab,
            protocol: PROTOCOL,
        }
    }
}

/// A line of the program that asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asks {
    /// Numbers of texts that no further ask is about.
    pub(crate) forget: Vec<u64>,
    /// At most one for each text.
    pub(crate) asks: Vec<Ask>,
}

/// What may come after one text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Number of the text.
    pub(crate) text: u64,
    /// The tokens of its last ask that it still begins with.
    pub(crate) keep: usize,
    /// What comes after them.
    pub(crate) tokens: Vec<i64>,
    /// The most tokens of the draft.
    pub(crate) most: usize,
}

/// The answer to a line: a proposal for each ask, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposals {
    pub(crate) proposals: Vec<Proposal>,
}

/// The answer to one ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    /// Tokens of the text that are known: all of it, or none where the text was lost.
    pub(crate) known: usize,
    /// How many of them have not been read: the next ask goes on with them, and this one has no draft.
    pub(crate) unread: usize,
    /// The draft; none where the context is full.
    pub(crate) tokens: Vec<i64>,
}

/// Whoever drafts.
pub(crate) trait Drafter: Send {
    /// A proposal for each ask.
    ///
    /// # Errors
    ///
    /// It drafts no more.
    fn propose(&mut self, asks: &Asks) -> Result<Proposals>;
}
