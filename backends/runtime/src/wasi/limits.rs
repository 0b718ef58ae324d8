//! Code of others that reads the contents of a file. What it may take is for the host to limit, which bounds the memory of the whole program.

use std::path::Path;

use crate::{Result, being_read};

/// Runs code of others on the contents of a file. Should it panic, the file is damaged, and the program ends with that message (see
/// `program::install_panic_hook`).
pub(crate) fn reading<T>(path: &Path, _memory: usize, read: impl FnOnce() -> T) -> Result<T> {
    being_read::set(Some(path));
    let result = read();
    being_read::set(None);
    Ok(result)
}
