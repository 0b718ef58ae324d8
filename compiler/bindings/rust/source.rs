//! Sources: what the encoder of a model reads, another sequence than that of its tokens.

use std::ffi::c_void;

use crate::{Error, Input, Model, Result, Session, Stream, batch::rows, ffi};

impl Model {
    /// What its encoder reads, a row of each for each row of a source; nothing without an encoder.
    pub fn sources(&self) -> Vec<Stream> {
        // SAFETY: the model lives.
        let count = unsafe { ffi::seqc_model_sources(self.raw()) };
        (0..count)
            .filter_map(|n| self.stream(n, ffi::seqc_model_source))
            .collect()
    }

    /// The most rows of a source, 0 without an encoder.
    pub fn source_rows(&self) -> u64 {
        // SAFETY: the model lives.
        unsafe { ffi::seqc_model_source_rows(self.raw()) }
    }

    /// Tokens that sequences behind the encoder begin with: answers without a prompt begin with them, and they come before the text of a
    /// request. Who feeds tokens feeds these first.
    pub fn start(&self) -> &[i64] {
        let mut count = 0;
        // SAFETY: the model lives; what it gives lives as long.
        unsafe {
            let start = ffi::seqc_model_start(self.raw(), &raw mut count);
            match count {
                0 => &[],
                count => std::slice::from_raw_parts(start, count),
            }
        }
    }
}

impl Session {
    /// Reads the source of a model with an encoder: rows of each of its [`Model::sources`], whole, once, before the first token. A source
    /// that was read before is forgotten. Forks and saved sessions have the source.
    ///
    /// # Errors
    ///
    /// A model without an encoder; rows that do not fit, or too many; tokens that have been read.
    pub fn source(&mut self, inputs: &[Input<'_>]) -> Result<()> {
        let sources = self.model().sources();
        if sources.is_empty() {
            return Err(Error::input("the model has no encoder, which would read a source"));
        }
        let rows = rows(&sources, inputs, "encoder")?;
        let starts: Vec<*const c_void> = inputs.iter().map(Input::start).collect();
        // SAFETY: inputs live through the call; sizes were checked.
        self.done(unsafe { ffi::seqc_session_source_input(self.raw(), starts.as_ptr(), rows) })
    }

    /// Rows of the source that was read, 0 before.
    pub fn source_rows(&self) -> u64 {
        // SAFETY: the session lives.
        unsafe { ffi::seqc_session_source_rows(self.raw()) }
    }
}
