//! One sequence being read: chunks in, rows of outputs out, the state in between.

use std::path::{Path, PathBuf};

mod cut;
mod decode;
mod fault;
mod rewind;
#[cfg(test)]
mod tests;
mod together;
mod track;
mod turns;

pub use cut::{Cut, Wanted};
pub use fault::Fault;
pub use rewind::{Bytes, Mark};
pub use together::{Feed, Together, feed_together};

use seqc_abi::batch::OPEN_PROMPT;

use crate::{
    Error, Result,
    history::{Conversation, History},
    inputs::{Values, check_ids, check_ids_of, count, count_of},
    kept,
    model::Model,
    prompts::Prompts,
    saved::{self, Owner},
    streams::{most_rows, no_source},
};
use track::Track;
use turns::Turns;

/// One sequence.
#[derive(Debug)]
pub struct Session<'m> {
    /// Memory for steps, which forks share.
    executor: Turns<'m>,
    track: Track,
}

impl<'m> Session<'m> {
    /// A sequence of no tokens yet.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn new(model: &'m Model) -> Result<Session<'m>> {
        Ok(Session {
            executor: Turns::new(model)?,
            track: Track::new(model)?,
        })
    }

    /// Forgets all tokens that were read, and keeps the memory. Snapshots are kept at the same intervals as before.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn reset(&mut self) -> Result<()> {
        let (every, sequence) = (self.track.every, self.track.sequence.restart(self.model())?);
        self.track = Track::new(self.model())?;
        (self.track.every, self.track.sequence) = (every, sequence);
        Ok(())
    }

    /// Reads the memory, before the first token: one row of each input stream of the model's encoder for each of its rows.
    ///
    /// # Errors
    ///
    /// A model without an encoder; inputs that do not fit it (streams, widths, ids outside of a table, no rows, too many); tokens that have been
    /// read; too little memory.
    pub fn remember(&mut self, inputs: &[Values]) -> Result<()> {
        let descriptor = self.model().descriptor();
        let Some(memory) = &descriptor.memory else {
            return Err(Error::input(format!(
                "the model {} has no encoder, which would read a source",
                descriptor.model
            )));
        };
        if self.position() > 0 {
            return Err(Error::input(format!(
                "{} tokens have been read: a source comes before the first token",
                self.position()
            )));
        }
        let rows = count_of(&descriptor.model, &memory.inputs, inputs)?;
        check_ids_of(descriptor, &memory.inputs, inputs)?;
        let most = most_rows(descriptor, memory);
        if !(1..=most).contains(&rows) {
            return Err(Error::input(format!(
                "a source of {rows} rows is given: the encoder of the model {} reads from 1 to {most}",
                descriptor.model
            )));
        }
        self.executor.turn().remember(&mut self.track.sequence, inputs, rows)
    }

    /// A session of the same model before its first token, with the same memory.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub(crate) fn begun(&self) -> Result<Session<'m>> {
        let mut session = Session::new(self.model())?;
        session.track.sequence = self.track.sequence.restart(self.model())?;
        Ok(session)
    }

    /// Rows of the memory that was read, 0 before.
    pub fn rows(&self) -> u64 {
        self.track.sequence.state.rows(self.model().descriptor())
    }

    /// The model that reads.
    pub fn model(&self) -> &'m Model {
        self.executor.model()
    }

    /// Tokens read so far.
    pub fn position(&self) -> u64 {
        self.track.sequence.position
    }

    /// Says that the prompt ends after `tokens` more tokens: caches that are cut or stored anew at the end of a prompt are so there.
    /// Unless it is said before the last token is read, all tokens belong to a prompt that goes on.
    pub fn end_prompt(&mut self, tokens: u64) {
        let end = self.position().saturating_add(tokens).min(OPEN_PROMPT);
        self.track.sequence.end_prompt(end);
    }

    /// Says that what is read from here on belongs to an answer: a prompt whose end was not said, or lies ahead, ends here.
    pub fn begin_answer(&mut self) {
        self.track.sequence.begin_answer();
    }

    /// Where the prompt ends that is being read or was read last, if that was said.
    pub fn prompt_end(&self) -> Option<u64> {
        Some(self.track.sequence.prompt_end()).filter(|end| *end != OPEN_PROMPT)
    }

    /// All prompts whose ends were said.
    pub(crate) fn prompts(&self) -> &Prompts {
        &self.track.sequence.prompts
    }

    /// Tokens that can still be read, where the model says how many it admits.
    pub fn room(&self) -> u64 {
        let limit = self.model().descriptor().max_context;
        limit
            .map_or(u64::MAX, |limit| limit as u64)
            .saturating_sub(self.position())
    }

    /// All tokens read so far, those of a loaded state included; `None` for a model that reads anything else.
    pub fn tokens(&self) -> Option<&[i64]> {
        self.track.tokens()
    }

    /// The last row of output number `output`, which is of vectors: that of the token read last, a loaded state included. `None`
    /// before the first token, and after [`Session::truncate`] to a token whose outputs were not kept.
    pub fn last(&self, output: usize) -> Option<&[f32]> {
        match self.track.last.as_ref()?.get(output)? {
            Values::F32(values) => Some(values),
            Values::I64(_) => None,
        }
    }

    /// Which of the last `tokens` tokens caches keep, one report for each of [`kept::streams`].
    pub(crate) fn kept(&self, tokens: usize) -> Vec<Vec<u8>> {
        kept::reports(self.model().descriptor(), &self.track.sequence, tokens)
    }

    /// What is known of the text that was read.
    pub(crate) fn history(&self) -> &History {
        &self.track.history
    }

    /// Bytes of a text that ended inside a character; they come before the text that goes on.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.track.history.bytes)
    }

    /// Keeps bytes of a character that is not complete for the text that goes on.
    pub(crate) fn keep_bytes(&mut self, bytes: Vec<u8>) {
        self.track.history.bytes = bytes;
    }

    /// Says what conversation was read last; what follows is its answer.
    pub(crate) fn converse(&mut self, conversation: Conversation) {
        self.track.history.conversation = Some(conversation);
    }

    /// Writes everything needed to continue, with the outputs of the last token. The file is none of `inputs`.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what stood there is then as it was.
    pub fn save_file(&self, path: &Path, inputs: &[PathBuf]) -> Result<()> {
        saved::save(path, inputs, self.owner(), self.track.saved())
    }

    /// Appends the same bytes to memory.
    ///
    /// # Errors
    ///
    /// A state beyond all memory.
    pub fn save_to(&self, bytes: &mut Vec<u8>) -> Result<()> {
        saved::save_to(bytes, self.owner(), self.track.saved())
    }

    /// Continues from a file.
    ///
    /// # Errors
    ///
    /// A file of another model or of other weights, a damaged one, too little memory; the session is then as before.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        let saved = saved::load(path, self.owner())?;
        self.track.restore(self.model().descriptor(), saved);
        Ok(())
    }

    /// Continues from what was saved to memory.
    ///
    /// # Errors
    ///
    /// As [`Session::load`].
    pub fn load_from(&mut self, bytes: &[u8]) -> Result<()> {
        let saved = saved::load_from(bytes, self.owner())?;
        self.track.restore(self.model().descriptor(), saved);
        Ok(())
    }

    fn owner(&self) -> Owner<'m> {
        Owner {
            descriptor: self.model().descriptor(),
            weights: self.model().weights_identity(),
            store: self.model().store(),
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
        if !self.track.history.bytes.is_empty() {
            return Err(Error::input(
                "the text of the saved state ends inside a character: `generate --prompt` goes on with the rest of it",
            ));
        }
        if descriptor.memory.is_some() && self.rows() == 0 {
            return Err(no_source(descriptor));
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
