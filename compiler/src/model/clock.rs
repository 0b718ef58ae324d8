//! At which tokens entries of a model run, where these are not all.

use crate::source::Place;
use seqc_grammar::ast::Ident;

/// Entries around a layer that run at some tokens only.
#[derive(Debug)]
pub struct Clock {
    /// Path for messages and the state manifest: `layers.3.clock`. No other clock has it.
    pub path: String,
    /// At which tokens.
    pub condition: Condition,
    /// What their result is at other tokens.
    pub otherwise: Otherwise,
    /// Where that stands.
    pub place: Place,
}

/// At which tokens entries run.
#[derive(Debug)]
pub enum Condition {
    /// Where a stream is not 0.
    Stream(Ident),
    /// At the last token of each segment of so many.
    Every(usize),
}

/// What the result of entries is at tokens at which they do not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Its last value.
    Hold,
    /// 0.
    Zero,
    /// What the first of them reads.
    Pass,
}

impl Clock {
    /// The stream that says where they run.
    pub fn stream(&self) -> Option<&Ident> {
        match &self.condition {
            Condition::Stream(stream) => Some(stream),
            Condition::Every(_) => None,
        }
    }
}
