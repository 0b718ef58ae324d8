//! One sequence: its position and its states.

use seqc_abi::Descriptor;

use crate::{
    Result,
    memory::Piece,
    state::{State, cuts_anywhere},
};

/// States and position of one sequence of a model. It computes nothing: an [`Executor`](crate::executor::Executor) runs the steps.
#[derive(Debug)]
pub struct Sequence {
    pub(crate) state: State,
    pub(crate) position: u64,
}

impl Sequence {
    /// An empty sequence.
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

    /// A copy that reads on by itself. Pages of caches are shared until one of both writes them.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn fork(&self, descriptor: &Descriptor) -> Result<Sequence> {
        Ok(Sequence {
            state: self.state.fork(descriptor, self.position)?,
            position: self.position,
        })
    }

    /// Whether sequences of a model can be cut at any earlier token: all that they carry are caches that forget nothing. Of
    /// others, forks are kept at some positions, from which they are read again.
    pub fn cuts_anywhere(descriptor: &Descriptor) -> bool {
        cuts_anywhere(descriptor)
    }

    /// Forgets the tokens from `position` on.
    ///
    /// # Panics
    ///
    /// If the sequence is shorter, or of a model that [`Sequence::cuts_anywhere`] does not hold for.
    pub fn truncate(&mut self, descriptor: &Descriptor, position: u64) {
        assert!(position <= self.position && cuts_anywhere(descriptor));
        self.state.truncate(position);
        self.position = position;
    }

    /// Bytes of memory that it takes; what several sequences share counts in parts.
    pub fn bytes(&self) -> usize {
        self.state.bytes()
    }

    /// The memory that it takes, piece by piece.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.state.pieces()
    }

    /// Tokens read so far.
    pub fn position(&self) -> u64 {
        self.position
    }
}
