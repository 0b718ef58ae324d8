//! What the tests of whole programs share: the `seqc` command, the programs it builds, known answers, documents.
//!
//! Everything here looks at the project from outside. A helper that cannot do its work panics with what it saw: it is
//! only ever called by a test.

pub mod command;
pub mod device;
pub mod document;
pub mod emulation;
pub mod fixture;
pub mod imports;
pub mod program;
mod root;
pub mod rows;
pub mod signatures;
pub mod source;

pub use root::root;

use std::path::PathBuf;

/// A directory for what a test writes, below cargo's target directory; empty at the first call of a process.
pub fn scratch(name: &str) -> PathBuf {
    use std::{collections::HashSet, fs, sync::Mutex};
    static MADE: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let dir = command::target_dir().join("tmp").join("seqc-tests").join(name);
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if made.get_or_insert_default().insert(name.to_owned()) {
        fs::remove_dir_all(&dir).ok();
    }
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    dir
}
