//! What a step gives: rows of the output streams, chunk by chunk.

use seqc_abi::Descriptor;

use crate::{memory::Region, streams::row_bytes};

/// Rows of the outputs of one chunk.
#[derive(Debug)]
pub struct Outputs<'a> {
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) regions: &'a [Region],
    pub(crate) rows: usize,
    pub(crate) tokens: usize,
}

impl Outputs<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tokens of the chunk.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Rows of output `stream` as stored: f32 or i64, little-endian.
    pub fn bytes(&self, stream: usize) -> &[u8] {
        let bytes = row_bytes(&self.descriptor.outputs[stream]).saturating_mul(self.rows);
        &self.regions[stream].bytes()[..bytes]
    }

    /// One row of output `stream`, which is of vectors.
    pub fn row(&self, stream: usize, row: usize) -> impl Iterator<Item = f32> {
        let width = row_bytes(&self.descriptor.outputs[stream]);
        let bytes = &self.bytes(stream)[row * width..][..width];
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// Rows of output `stream`, which is of vectors.
    pub fn floats(&self, stream: usize) -> impl Iterator<Item = f32> {
        let chunks = self.bytes(stream).as_chunks::<4>().0;
        chunks.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}
