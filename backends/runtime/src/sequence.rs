//! One sequence: how far it was read, and what it carries from there on.

use seqc_abi::Descriptor;

use crate::{Result, state::State};

/// States and position of one sequence of a model. It computes nothing: an [`Executor`](crate::executor::Executor) reads on.
#[derive(Debug)]
pub struct Sequence {
    pub(crate) state: State,
    pub(crate) position: u64,
}

impl Sequence {
    /// A sequence of no tokens yet.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn new(descriptor: &Descriptor) -> Result<Sequence> {
        Ok(Sequence {
            state: State::new(descriptor)?,
            position: 0,
        })
    }

    /// Tokens read so far.
    pub fn position(&self) -> u64 {
        self.position
    }
}
