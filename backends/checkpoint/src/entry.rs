//! Where a tensor lies.

use seqc_formats::Encoding;

/// The part of a file that holds a tensor, and how.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its number among the files of the checkpoint.
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) bytes: usize,
    pub(crate) encoding: Encoding,
    pub(crate) shape: Vec<usize>,
}
