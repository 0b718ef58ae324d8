//! A text that is written beside a library.

use std::path::PathBuf;

/// A file beside a library.
#[derive(Clone, Debug)]
pub(crate) struct Companion {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Whether another file of that name is replaced only by force: people have headers of their own.
    pub(crate) guarded: bool,
}
