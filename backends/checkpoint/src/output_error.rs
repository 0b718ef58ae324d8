//! Why an output cannot be written.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why an output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place is one of the inputs, by whatever name.
    #[error("{}: {}; name another file for the output", path.display(), same(path, input))]
    IsInput {
        /// The output.
        path: PathBuf,
        /// The input, as it was given.
        input: PathBuf,
    },
    /// The place is a folder.
    #[error("{}: this is a folder; name a file in it", path.display())]
    IsFolder {
        /// The output.
        path: PathBuf,
    },
    /// The folder of the place is missing.
    #[error("{}: there is no folder {}; make it first", path.display(), folder.display())]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("{}: {}", path.display(), reason(error))]
    Io {
        /// The output.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// How an output is an input.
fn same(path: &Path, input: &Path) -> String {
    if input == path {
        "this is an input, which would be lost".to_owned()
    } else {
        format!(
            "this is the same file as the input {}, which would be lost",
            input.display()
        )
    }
}

/// What the system says of a write, in plain words where they are usual.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

/// The system refused a path.
pub(crate) fn io_error(path: &Path, error: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        error,
    }
}
