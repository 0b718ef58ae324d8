//! What plans are made for.

use crate::machine::Machine;

/// What plans are made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The processor.
    pub machine: Machine,
    /// Tokens of the longest chunk; of a model that looks ahead, of the longest input.
    pub max_chunk: usize,
    /// Tokens of the smallest block of a long convolution: a power of two from 16.
    pub conv_block: usize,
    /// Which form chunks take of a recurrence that has a matrix form.
    pub chunks: Chunks,
}

/// Which of the two forms chunks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunks {
    /// The cheaper one.
    #[default]
    Cheapest,
    /// Matrix products wherever they can be.
    Products,
    /// Never.
    Tokens,
}

impl Settings {
    /// Tokens of a chunk: enough for packed weights to pay, few enough for activations to stay in cache. All codes of a program have
    /// the same, since the runtime cuts prompts into chunks whichever of them it runs; hence it is no machine's.
    pub const CHUNK: usize = 256;
    /// Tokens of the smallest block of a long convolution: part of the layout of its states, which all machines read.
    pub const CONV_BLOCK: usize = 128;

    /// The settings of programs for a machine.
    pub fn of(machine: &Machine) -> Settings {
        Settings {
            machine: *machine,
            max_chunk: Settings::CHUNK,
            conv_block: Settings::CONV_BLOCK,
            chunks: Chunks::Cheapest,
        }
    }
}
