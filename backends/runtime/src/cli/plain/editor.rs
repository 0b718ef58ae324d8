//! Lines are not edited, where there is no terminal to edit them on, and nobody interrupts an answer.

use super::read::Read;
use crate::Result;

/// Whether the user has interrupted the answer.
pub(in super::super) fn interrupted() -> bool {
    false
}

/// Forgets an interrupt of what came before.
pub(in super::super) fn forget_interrupt() {}

/// A terminal, of which there is none.
pub(super) enum Editor {}

impl Editor {
    /// None.
    pub(super) fn open() -> Result<Option<Editor>> {
        Ok(None)
    }

    /// Keeps a line in the history.
    pub(super) fn remember(&mut self, _line: &str) {
        match *self {}
    }

    /// The next line.
    pub(super) fn read(&mut self, _asks: &str) -> Result<Read> {
        match *self {}
    }
}
