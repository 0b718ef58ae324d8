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
    /// The rows of the memory.
    Memory,
}

/// The clocks of the graph's nodes: a part of their type, as their shape is.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// The condition under which each value counts, of the first nodes of the graph; `None`: at every token.
    pub(super) of: Vec<Option<Value>>,
    /// Of the same nodes, whether they depend on the token, and not on its position alone.
    pub(super) of_token: Vec<bool>,
    /// The clock of the rows of the memory, which holds at each of them.
    pub(super) memory: Option<Value>,
    /// Values whose clock is not that of their operands. Nothing may be built on their operands in their place.
    pub(super) stated: HashMap<Value, Option<Value>>,
    /// An operation on two clocks has been found and is not reported yet.
    pub(super) clash: bool,
    /// The same of an operation on rows of the memory and tokens.
    pub(super) joins_memory: bool,
    /// Conditions of `every`, by the length of the segments: each is one clock.
    pub(super) every: HashMap<usize, Value>,
    /// Of each clock, whether it ticks for the first time.
    pub(super) first: HashMap<Value, Value>,
}
