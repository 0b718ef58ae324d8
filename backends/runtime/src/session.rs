//! One sequence being read: chunks in, rows of outputs out, the state in between.

use std::path::{Path, PathBuf};

mod fault;

pub use fault::Fault;

use crate::{
    Error, Result,
    executor::{Executor, Segment},
    history::{Conversation, History},
    inputs::{Values, check_ids, count},
    model::Model,
    outputs::Outputs,
    saved::{self, Owner, Snapshot},
    sequence::Sequence,
};

/// Which rows of the outputs are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One for every token.
    All,
    /// Only that of the last token.
    Last,
}

/// How a sequence is cut.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    sizes: Vec<usize>,
}

impl Cut {
    /// Chunks of these sizes, the last one repeated; none: as long as the code takes.
    pub fn new(sizes: Vec<usize>) -> Cut {
        Cut { sizes }
    }

    /// Tokens of chunk `number`, of at most `longest`.
    pub(crate) fn size(&self, number: usize, longest: usize) -> usize {
        let asked = self.sizes.get(number).or(self.sizes.last()).copied();
        asked.unwrap_or(longest).clamp(1, longest)
    }
}

/// One sequence.
#[derive(Debug)]
pub struct Session<'m> {
    executor: Executor<'m>,
    sequence: Sequence,
    pending: Vec<i64>,
    history: History,
}

impl<'m> Session<'m> {
    /// A sequence of no tokens yet.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn new(model: &'m Model) -> Result<Session<'m>> {
        Ok(Session {
            executor: Executor::new(model)?,
            sequence: Sequence::new(model.descriptor())?,
            pending: Vec::new(),
            history: History::default(),
        })
    }

    /// Forgets everything read.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn reset(&mut self) -> Result<()> {
        self.sequence = Sequence::new(self.model().descriptor())?;
        self.pending.clear();
        self.history = History::default();
        Ok(())
    }

    /// The model that reads.
    pub fn model(&self) -> &'m Model {
        self.executor.model()
    }

    /// Memory for steps, which other sequences may use between two calls, and the sequence.
    pub(crate) fn parts(&mut self) -> (&mut Executor<'m>, &Sequence) {
        (&mut self.executor, &self.sequence)
    }

    /// Tokens read so far.
    pub fn position(&self) -> u64 {
        self.sequence.position
    }

    /// Tokens that can still be read, where the model says how many it admits.
    pub fn room(&self) -> u64 {
        let limit = self.model().descriptor().max_context;
        limit
            .map_or(u64::MAX, |limit| limit as u64)
            .saturating_sub(self.position())
    }

    /// Tokens of a loaded session that belong to its text but have not been read; they come before whatever is fed next.
    pub fn take_pending(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.pending)
    }

    /// Whether nothing was read, and nothing waits to be read.
    pub(crate) fn is_fresh(&self) -> bool {
        self.position() == 0 && self.pending.is_empty()
    }

    /// What is known of the text that was read.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Bytes of a text that ended inside a character; they come before the text that goes on.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.history.bytes)
    }

    /// Keeps bytes of a character that is not complete for the text that goes on.
    pub(crate) fn keep_bytes(&mut self, bytes: Vec<u8>) {
        self.history.bytes = bytes;
    }

    /// Says what conversation was read last; what follows is its answer.
    pub(crate) fn converse(&mut self, conversation: Conversation) {
        self.history.conversation = Some(conversation);
    }

    /// Writes everything needed to continue. `pending` are tokens of the text that were not fed; the file is none of
    /// `inputs`.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what stood there is then as it was.
    pub fn save(&self, path: &Path, inputs: &[PathBuf], pending: &[i64]) -> Result<()> {
        let all = [&self.pending[..], pending].concat();
        let snapshot = Snapshot {
            sequence: &self.sequence,
            pending: &all,
            history: &self.history,
        };
        saved::save(path, inputs, self.owner(), snapshot)
    }

    fn owner(&self) -> Owner<'m> {
        Owner {
            descriptor: self.model().descriptor(),
            weights: self.model().weights_identity(),
        }
    }

    /// Continues from a file.
    ///
    /// # Errors
    ///
    /// A file of another model or of other weights, a damaged one, too little memory; the session is then as before.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        let saved = saved::load(path, self.owner())?;
        self.sequence = saved.sequence;
        self.pending = saved.pending;
        self.history = saved.history;
        Ok(())
    }

    /// Reads one row of every input stream for each token, in chunks, and hands the outputs of each chunk to `take`: as
    /// many rows as are wanted, which may be none.
    ///
    /// # Errors
    ///
    /// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens), or an error of `take`.
    pub fn feed(
        &mut self,
        inputs: &[Values],
        cut: &Cut,
        wanted: Wanted,
        mut take: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let tokens = self.check(inputs, cut)?;
        let (mut done, mut number) = (0, 0);
        while done < tokens {
            let chunk = self.chunk_of(cut, number, tokens - done);
            let wanted_from = match wanted {
                Wanted::All => 0,
                Wanted::Last if done + chunk == tokens => chunk - 1,
                Wanted::Last => chunk,
            };
            let segment = Segment {
                sequence: &mut self.sequence,
                inputs,
                at: done,
                tokens: chunk,
                wanted_from,
            };
            let outputs = self.executor.step(&mut [segment])?;
            if let [Values::I64(ids)] = inputs {
                self.history.read(ids.get(done..done + chunk).unwrap_or_default());
            }
            take(&outputs)?;
            done += chunk;
            number += 1;
        }
        Ok(())
    }

    /// Tokens of the chunk of that number, of those that are left.
    fn chunk_of(&self, cut: &Cut, number: usize, left: usize) -> usize {
        let descriptor = self.model().descriptor();
        match descriptor.causal {
            true => cut.size(number, descriptor.max_chunk.max(1)).min(left),
            false => left,
        }
    }

    /// Whether [`Session::feed`] would take these inputs, and how many tokens they have.
    ///
    /// # Errors
    ///
    /// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens), or a text that ended
    /// inside a character.
    pub fn check(&self, inputs: &[Values], cut: &Cut) -> Result<usize> {
        let descriptor = self.model().descriptor();
        if !self.history.bytes.is_empty() {
            return Err(Error::input(
                "the text of the saved state ends inside a character: `generate --prompt` goes on with the rest of it",
            ));
        }
        let tokens = count(descriptor, inputs)?;
        check_ids(descriptor, inputs)?;
        self.check_length(tokens, cut)?;
        Ok(tokens)
    }

    fn check_length(&self, tokens: usize, cut: &Cut) -> Result<()> {
        let descriptor = self.model().descriptor();
        if tokens as u64 > self.room() {
            let limit = descriptor.max_context.unwrap_or_default();
            let before = match self.position() {
                0 => String::new(),
                read => format!(" after the {read} that were read"),
            };
            return Err(Error::input(format!(
                "{tokens} tokens{before} are too many: the model {} takes sequences of at most {limit} tokens",
                descriptor.model
            )));
        }
        if !descriptor.causal {
            if tokens > descriptor.max_chunk {
                return Err(Error::input(format!(
                    "{tokens} tokens are too many: the model {} looks ahead and reads its input at once, at most {} tokens",
                    descriptor.model, descriptor.max_chunk
                )));
            }
            if self.position() > 0 || tokens > 0 && cut.size(0, tokens) < tokens {
                return Err(Error::input(format!(
                    "the model {} looks ahead: it reads its input at once, neither in chunks nor after a saved state",
                    descriptor.model
                )));
            }
        }
        Ok(())
    }
}
