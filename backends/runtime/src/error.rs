//! Why a program cannot do what it was asked for, and the exit status that says so.

use std::{path::Path, sync::Mutex};

use seqc_checkpoint::output;

use crate::limits::limited;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a prompt or a value is wrong.
    #[error("{0}")]
    Input(String),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] seqc_checkpoint::Error),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The program or the system failed.
    #[error("{0}")]
    Failed(String),
    /// The command line makes no sense, and the user has been told.
    #[error("wrong usage")]
    Shown,
    /// Whoever read the output went away.
    #[error("the output was closed")]
    Closed,
}

impl From<output::Error> for Error {
    fn from(error: output::Error) -> Error {
        match error {
            output::Error::Io { error, .. } if error.kind() == std::io::ErrorKind::BrokenPipe => Error::Closed,
            output::Error::Io { .. } => Error::Failed(error.to_string()),
            _ => Error::Usage(error.to_string()),
        }
    }
}

impl Error {
    /// The program's exit status: 0 for a closed pipe, 1 for wrong input, 2 for wrong usage and failures.
    pub fn status(&self) -> i32 {
        match self {
            Error::Closed => 0,
            Error::Input(_) | Error::Checkpoint(_) => 1,
            Error::Usage(_) | Error::Shown | Error::Failed(_) => 2,
        }
    }

    /// Wrong input.
    pub fn input(message: impl Into<String>) -> Error {
        Error::Input(message.into())
    }

    /// A failed write, which is quiet when a pipe was closed.
    pub fn write(what: &str, error: &std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Error::Closed,
            _ => Error::Failed(format!("{what}: {}", output::reason(error))),
        }
    }
}

/// The file that code of others is reading, see [`reading`].
static READING: Mutex<Option<String>> = Mutex::new(None);

/// Runs code of others on the contents of a file. Should it panic, the file is damaged: an error, or the end of the
/// program with the same message where panics cannot be caught (see `cli::install_panic_hook`). It may take so
/// much memory, and time that goes with it (see [`limited`]).
pub(crate) fn reading<T>(path: &Path, memory: usize, read: impl FnOnce() -> T) -> Result<T> {
    let set = |path| {
        if let Ok(mut place) = READING.lock() {
            *place = path;
        }
    };
    set(Some(path.display().to_string()));
    // What the code was about to change is given up with its result.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| limited(memory, read)));
    set(None);
    result.map_err(|_| Error::Input(damaged(&path.display().to_string())))
}

/// What is said of a file on which code of others panics.
pub(crate) fn damaged(path: &str) -> String {
    format!("{path}: the file is damaged: its contents contradict each other")
}

/// Says the name of the file that is being read by code of others, without taking memory.
pub(crate) fn name_being_read(say: impl Fn(&str)) {
    match READING.try_lock() {
        Ok(name) => say(name.as_deref().unwrap_or("a file")),
        Err(_) => say("a file"),
    }
}

/// The file that is being read by code of others.
pub(crate) fn being_read() -> Option<String> {
    READING.try_lock().ok()?.clone()
}
