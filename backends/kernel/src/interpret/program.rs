//! A module that can be run, and its memory.

use super::{code::Code, memory::Memory};
use std::collections::HashMap;

/// What stands for a function of another module: its arguments are one 64-bit word each, as is its result.
pub type Host = fn(&mut Memory, &[u64]) -> u64;

/// A module that can be run, and its memory.
pub struct Interpreter<'m> {
    pub(super) code: HashMap<&'m str, Code<'m>>,
    pub(super) hosts: HashMap<String, Host>,
    pub(super) globals: HashMap<String, u64>,
    pub(super) memory: Memory,
}
