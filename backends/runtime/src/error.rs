//! Why a program cannot do what it was asked for, and the exit status that says so.

use seqc_checkpoint::output;

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
