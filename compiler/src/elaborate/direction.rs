//! In which direction over the sequence values are computed.

use crate::source::Place;
use seqc_ir::{StateId, Value};
use std::collections::{HashMap, HashSet};

/// From which token a stream remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the one before: `prev`.
    Before,
    /// From the one after: `next`.
    After,
}

impl Way {
    /// The function of the language.
    pub(super) fn name(self) -> &'static str {
        match self {
            Way::Before => "prev",
            Way::After => "next",
        }
    }
}

/// What runs from the end of the sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct Backward {
    /// Values whose earlier tokens are later ones, and where they are written.
    pub(super) values: HashMap<Value, Place>,
    /// States that begin at the last token.
    pub(super) states: HashSet<StateId>,
}
