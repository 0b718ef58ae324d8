//! Layers that run at some tokens only.
//!
//! Between calls there are streams of several clocks: those of all tokens, and for every [`Clocked`] part of a model those of its ticks. Streams
//! cross from one to the other where the part begins ([`Enter`]) and where it ends ([`Leave`]), and nowhere else.

use crate::StreamId;
use std::{fmt, ops::Range};

/// Calls that run at some tokens only, the *ticks*: those at which a condition holds. To these calls there are no other tokens: positions count
/// ticks, and what a layer carries it carries from tick to tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocked {
    /// Path for messages and the state manifest: `layers.3.clock`.
    pub name: String,
    /// One number at every token, not 0 at ticks.
    pub condition: StreamId,
    /// The calls. Other clocked parts may lie among them: they tick at some of these ticks.
    pub calls: Range<usize>,
    /// Streams from outside that the calls read.
    pub enter: Vec<Enter>,
    /// Streams of the calls that are read outside.
    pub leave: Vec<Leave>,
}

/// A stream at ticks only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enter {
    /// The stream outside.
    pub from: StreamId,
    /// Its values at ticks.
    pub to: StreamId,
}

/// A stream at every token, of one that has values at ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The stream with a value at each tick.
    pub from: StreamId,
    /// The stream outside.
    pub to: StreamId,
    /// What it is at other tokens.
    pub between: Between,
}

/// What a stream is at tokens that are no ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Its value at the last tick; 0 before the first.
    Hold,
    /// 0.
    Zero,
    /// The value of a stream outside at this token.
    Pass(StreamId),
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Between::Hold => f.write_str("hold"),
            Between::Zero => f.write_str("zero"),
            Between::Pass(stream) => write!(f, "pass {stream}"),
        }
    }
}
