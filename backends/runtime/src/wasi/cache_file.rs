//! A file for the pages of caches needs memory that is mapped to it: there is none here, and whoever asks for one is told.

use std::{path::PathBuf, sync::Arc};

use crate::{Error, Result};

/// Where caches would lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFile {
    /// A folder.
    pub folder: PathBuf,
    /// Bytes of the file that may be in memory.
    pub resident: usize,
}

/// The memory for a file of caches where nothing else is said.
pub const RESIDENT: usize = 1 << 30;

/// A file of caches, of which there is none.
#[derive(Debug)]
pub(crate) enum Store {}

/// A part of one.
#[derive(Debug)]
pub(crate) enum Slab {}

impl Slab {
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        match *self {}
    }

    pub(crate) fn len(&self) -> usize {
        match *self {}
    }

    /// # Safety
    ///
    /// Never called.
    pub(crate) unsafe fn release(&self, _start: *mut u8, _bytes: usize) {
        match *self {}
    }
}

impl Store {
    /// Never called.
    pub(crate) fn slab(self: &Arc<Store>, _bytes: usize) -> Result<Slab> {
        match **self {}
    }

    /// Never called.
    pub(crate) fn hold(&self, _waits: bool) -> bool {
        match *self {}
    }
}

pub(crate) mod keeper {
    //! What would drop parts of the file from memory.

    use std::sync::Arc;

    use super::{CacheFile, Error, Result, Store};

    /// A store with its thread, of which there is none.
    #[derive(Debug)]
    pub(crate) enum Keeper {}

    impl Keeper {
        /// Refuses.
        ///
        /// # Errors
        ///
        /// Always.
        pub(crate) fn create(_place: &CacheFile) -> Result<Keeper> {
            Err(Error::Failed(
                "WebAssembly has no memory that is mapped to files: run without --cache-file".to_owned(),
            ))
        }

        pub(crate) fn store(&self) -> &Arc<Store> {
            match *self {}
        }
    }
}
