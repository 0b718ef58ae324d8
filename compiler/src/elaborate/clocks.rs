//! The clocks of a graph's nodes, and how they are found again.

use seqc_ir::Value;
use std::collections::HashMap;

/// A clock as it is found again when the layer is elaborated anew.
#[derive(Clone, Debug)]
pub(super) enum ClockName {
    /// The condition of this name in the definition on this chain of calls.
    Name(u64, String),
    /// That of `every`.
    Every(usize),
}

/// The clocks of the graph's nodes: a part of their type, as their shape is.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// The condition under which each value counts, of the first nodes of the graph; `None`: at every token.
    pub(super) of: Vec<Option<Value>>,
    /// Values whose clock is not that of their operands. Nothing may be built on their operands in their place.
    pub(super) stated: HashMap<Value, Option<Value>>,
    /// An operation on two clocks has been found and is not reported yet.
    pub(super) clash: bool,
    /// Conditions of `every`, by the length of the segments: each is one clock.
    pub(super) every: HashMap<usize, Value>,
    /// Of each clock, whether it ticks for the first time.
    pub(super) first: HashMap<Value, Value>,
}
