//! One sequence: its position, its states and its prompts.

use seqc_abi::Descriptor;

use crate::{
    Result,
    memory::Piece,
    model::Model,
    prompts::Prompts,
    state::{State, cuts_anywhere},
};

/// States and position of one sequence of a model. It computes nothing: an [`Executor`](crate::executor::Executor) runs the steps.
#[derive(Debug)]
pub struct Sequence {
    pub(crate) state: State,
    pub(crate) position: u64,
    pub(crate) prompts: Prompts,
}

impl Sequence {
    /// An empty sequence.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn new(model: &Model) -> Result<Sequence> {
        Ok(Sequence::of(State::new(model.descriptor(), model.store())?))
    }

    /// A sequence of no tokens with this state.
    pub(crate) fn of(state: State) -> Sequence {
        Sequence {
            state,
            position: 0,
            prompts: Prompts::default(),
        }
    }

    /// A sequence of no tokens with the memory that this one has.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn restart(&self, model: &Model) -> Result<Sequence> {
        Ok(Sequence::of(self.state.restart(model.descriptor(), model.store())?))
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
            prompts: self.prompts.clone(),
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
        self.state.truncate(descriptor, position);
        self.position = position;
        self.prompts.truncate(position);
    }

    /// Says that its prompt, which it is reading, ends at this position. Otherwise no end is known, and all tokens belong to the prompt.
    ///
    /// # Panics
    ///
    /// If it has read more.
    pub fn end_prompt(&mut self, end: u64) {
        assert!(
            self.position <= end,
            "a prompt that ended after {end} tokens is said to be read"
        );
        self.prompts.end_at(self.position, end);
    }

    /// Says that what is read from here on belongs to an answer: a prompt whose end was not said, or lies ahead, ends here.
    pub fn begin_answer(&mut self) {
        if self.prompts.end() > self.position {
            self.end_prompt(self.position);
        }
    }

    /// The position behind the last token of the prompt that it is reading or has read last; [`OPEN_PROMPT`](seqc_abi::batch::OPEN_PROMPT)
    /// where that has not been said.
    pub fn prompt_end(&self) -> u64 {
        self.prompts.end()
    }

    /// How many of `left` tokens to read next where `size` are to be: tokens of a prompt that choose together are not divided, so that there may
    /// be more.
    pub(crate) fn undivided(&self, descriptor: &Descriptor, size: usize, left: usize) -> usize {
        let (together, size) = (descriptor.together as u64, size.min(left));
        let (position, end) = (self.position, self.prompts.end());
        let stop = position.saturating_add(size as u64);
        if together <= 1 || stop >= end || position >= end {
            return size;
        }
        let whole = stop - stop % together;
        let stop = if whole > position {
            whole
        } else {
            (position / together + 1) * together
        };
        let most = left as u64;
        // At most `left`, which is a usize.
        (stop.min(end) - position).min(most) as usize
    }

    /// Whether the next token is one of several that choose together, of which others have been read.
    pub(crate) fn is_divided(&self, descriptor: &Descriptor) -> bool {
        let begun = self.prompts.begun();
        let together = descriptor.together.max(1) as u64;
        begun < self.position && self.position < self.prompts.end() && !self.position.is_multiple_of(together)
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
