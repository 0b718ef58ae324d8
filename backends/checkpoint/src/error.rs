//! Why a checkpoint cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use seqc_formats::Encoding;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to give the file.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not what it claims to be.
    #[error("{}: {message}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where in the file.
        message: String,
    },
    /// A tensor is stored in a way that cannot be turned into numbers here.
    #[error(
        "tensor `{tensor}` is stored as {encoding}, which cannot be read; {} can",
        Encoding::readable()
    )]
    Encoding {
        /// The tensor.
        tensor: String,
        /// How it is stored.
        encoding: Encoding,
    },
    /// A tensor of something else stands where integers are read.
    #[error("`{tensor}` is stored as {encoding}; integers are expected")]
    NoIntegers {
        /// The tensor.
        tensor: String,
        /// How it is stored.
        encoding: Encoding,
    },
    /// Integers that a signed one of 64 bits does not hold.
    #[error("`{0}` has numbers beyond 63 bits")]
    TooLarge(String),
}

impl Error {
    pub(crate) fn broken(path: &Path, message: impl Into<String>) -> Error {
        Error::Broken {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}
