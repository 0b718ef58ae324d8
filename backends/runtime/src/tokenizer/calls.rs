//! Calls of the `tokenizers` crate: the memory that they may take, ids as it counts them, errors as messages.

use std::path::Path;

use crate::{Error, Result};

/// Memory for reading a file of so many bytes: several times what published tokenizers take, as below.
pub(super) fn memory_of_file(bytes: usize) -> usize {
    (256 << 20) + bytes.saturating_mul(64)
}

/// Memory for turning a text of so many bytes to tokens.
pub(super) fn memory_of_text(bytes: usize) -> usize {
    (256 << 20) + bytes.saturating_mul(1 << 10)
}

/// Memory for turning so many tokens to text.
pub(super) fn memory_of_tokens(count: usize) -> usize {
    (8 << 20) + count.saturating_mul(1 << 16)
}

/// An id as the `tokenizers` crate counts them.
pub(super) fn narrow(id: i64) -> Option<u32> {
    u32::try_from(id).ok()
}

/// A file that says something impossible.
pub(super) fn damaged(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::input(format!("{}: {message}", path.display()))
}

/// What the `tokenizers` crate found.
pub(super) fn ids_of(encoded: tokenizers::Result<tokenizers::Encoding>, path: &Path) -> Result<Vec<i64>> {
    let encoded = encoded.map_err(|error| damaged(path, format_args!("the text cannot be tokenized: {error}")))?;
    Ok(encoded.get_ids().iter().map(|id| i64::from(*id)).collect())
}
