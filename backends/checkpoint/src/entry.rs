//! Where a tensor lies.

use seqc_formats::Encoding;

use crate::scales::Grid;

/// The part of a file that holds a tensor, and how.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its number among the files of the checkpoint.
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) bytes: usize,
    pub(crate) encoding: Encoding,
    pub(crate) shape: Vec<usize>,
    /// Factors of its numbers, where they lie in a tensor of their own.
    pub(crate) scales: Option<Placed>,
    /// Exponents of its blocks, where they lie in a tensor of their own.
    pub(crate) exponents: Option<Box<Entry>>,
}

/// Where the factors of a tensor lie, and over what.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) entry: Box<Entry>,
    pub(crate) grid: Grid,
}
