//! What a tokenizer was read from.

use super::{file::File, gguf::Gguf};

/// A file that tells how text becomes tokens and back.
#[derive(Debug)]
pub(super) enum Source {
    Gguf(Box<Gguf>),
    File(Box<File>),
}
