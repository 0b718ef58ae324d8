//! What a step gives: rows of the output streams, chunk by chunk.

use seqc_abi::{Descriptor, Stream};

use crate::{inputs::Values, memory::Region, streams::row_bytes};

/// Rows of the outputs of one chunk.
#[derive(Debug)]
pub struct Outputs<'a> {
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) regions: &'a [Region],
    /// The first of the rows in these regions.
    pub(crate) first: usize,
    pub(crate) rows: usize,
    pub(crate) tokens: usize,
}

impl<'a> Outputs<'a> {
    /// Some of the rows: those of `tokens` tokens of one sequence.
    pub(crate) fn part(&self, first: usize, rows: usize, tokens: usize) -> Outputs<'a> {
        assert!(first + rows <= self.rows);
        Outputs {
            first: self.first + first,
            rows,
            tokens,
            ..*self
        }
    }

    /// The last row of every output, where there is a row.
    pub(crate) fn last_row(&self) -> Option<Vec<Values>> {
        let last = self.rows.checked_sub(1)?;
        let row = |(n, stream): (usize, &Stream)| {
            let width = row_bytes(stream);
            Values::from_bytes(stream.elem, &self.bytes(n)[last * width..])
        };
        Some(self.descriptor.outputs.iter().enumerate().map(row).collect())
    }

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
        let width = row_bytes(&self.descriptor.outputs[stream]);
        &self.regions[stream].bytes()[self.first * width..][..self.rows * width]
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
