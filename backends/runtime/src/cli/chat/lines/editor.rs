//! Lines from a terminal, with editing and history; and Ctrl-C, which stops an answer.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustyline::{DefaultEditor, error::ReadlineError};

use super::read::Read;
use crate::{Error, Result};

/// Whether Ctrl-C was pressed since the last question.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the user has interrupted the answer.
pub(in super::super) fn interrupted() -> bool {
    INTERRUPTED.load(Relaxed)
}

/// Forgets an interrupt of what came before.
pub(in super::super) fn forget_interrupt() {
    INTERRUPTED.store(false, Relaxed);
}

extern "C" fn interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Relaxed);
}

/// A terminal.
pub(super) struct Editor(DefaultEditor);

impl Editor {
    /// The terminal, if standard input and standard output are one.
    pub(super) fn open() -> Result<Option<Editor>> {
        let handler = interrupt as extern "C" fn(libc::c_int);
        // SAFETY: the handler only writes to an atomic number.
        unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let editor = terminal.then(DefaultEditor::new).transpose();
        let editor = editor.map_err(|error| Error::Failed(format!("the terminal: {error}")))?;
        Ok(editor.map(Editor))
    }

    /// Keeps a line in the history.
    pub(super) fn remember(&mut self, line: &str) {
        // A line that is not remembered can be typed again.
        let _ = self.0.add_history_entry(line);
    }

    /// The next line.
    pub(super) fn read(&mut self, asks: &str) -> Result<Read> {
        match self.0.readline(asks) {
            Ok(line) => Ok(Read::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Read::Interrupted),
            Err(ReadlineError::Eof) => Ok(Read::End),
            // Bytes that are no character: the line begins anew, and the conversation goes on.
            Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Read::Interrupted),
            Err(error) => Err(Error::input(format!("standard input: {error}"))),
        }
    }
}
