//! Long convolutions: a filter over the whole past, in blocks that double (relaxed multiplication, van der Hoeven 1997).
//!
//! Tokens are cut at multiples of a *block*, counted from the start of the sequence, whatever the chunks. Inside a block
//! the sum is direct. What a block of `S` tokens adds to the `S` tokens behind it is added to them all at once when the
//! block ends, through a transform: blocks of `S = block, 2 block, 4 block, …` at odd multiples of `S`, so that every pair
//! of tokens meets in exactly one place. From the *top* size on, where the filter reaches over few blocks, their spectra
//! are kept in a ring, and every block gets the sum over all those before it.
//!
//! A panel is as many channels as a vector has lanes: all arithmetic is vertical, threads share panels. Where `S` real
//! tokens meet `2 S` taps, sequences are polynomials modulo `z^S - i`: the product's lower half becomes the real and its
//! upper half the imaginary part, so that a complex transform of size `S` does what a real one of size `2 S` would (`fft`).
//!
//! What is not finite stays out of all of these, where it would spread over whole blocks: zeros are in its place, and
//! the results that it reaches become NaN at the end (`nonfinite`).

mod block;
mod block_transition;
mod direct;
mod fft;
mod nonfinite;
mod prepare;

use crate::kernel::{Func, Module, Scalar, Ty, Val};
use seqc_abi::{PAGE_TOKENS, StateKind};
use seqc_passes::{conv_partition::ConvPartition, machine::Machine};

/// Everything that distinguishes one long convolution from another.
#[derive(Clone, Debug)]
pub struct LongConv {
    /// Unique prefix of the names of its functions.
    pub name: String,
    /// Channels, each with a filter of its own.
    pub channels: usize,
    /// Taps of a filter, and how tokens are cut.
    pub blocks: ConvPartition,
    /// The processor.
    pub machine: Machine,
}

impl LongConv {
    /// Kinds of the state entries: the stream's past, sums for tokens to come, spectra of past blocks, and for each
    /// channel the position up to which results are NaN.
    pub fn states(&self) -> [StateKind; 4] {
        let row = self.panels() * self.lanes() as usize * 4;
        let entry = |rows: usize, rows_of_a_page: usize, width: usize| StateKind::Pages {
            page_bytes: rows_of_a_page * row * width,
            pinned: 0,
            pages: Some(rows.div_ceil(rows_of_a_page)),
            count: None,
        };
        [
            entry(self.blocks.top(), PAGE_TOKENS, 1),
            // A block of sums ends no later than twice as far from the start as its first token.
            entry(self.blocks.top(), 2 * PAGE_TOKENS, 1),
            entry(self.blocks.ring() * self.blocks.top(), PAGE_TOKENS, 2),
            StateKind::Fixed { bytes: row },
        ]
    }

    /// Bytes for what is prepared when weights are loaded, a multiple of 64.
    pub fn prepared_bytes(&self) -> usize {
        self.panels() * self.prepared_rows() * self.lanes() as usize * 4
    }

    /// Bytes of scratch for each thread, a multiple of 64.
    pub fn scratch_bytes(&self) -> usize {
        2 * self.blocks.top() * self.lanes() as usize * 4
    }

    /// Adds `fn(f, prepared)`; returns its name.
    ///
    /// Makes everything that depends on the filter `f [channels, taps]` alone, in [`LongConv::prepared_bytes`] bytes.
    pub fn prepare(&self, module: &mut Module) -> String {
        prepare::function(self, module)
    }

    /// Adds `fn(u, u_stride, out, out_stride, prepared, past, sums, spectra, nan_until, position, count, scratch, tid,
    /// threads)`; returns its name.
    ///
    /// Rows of `u` and `out` are `[channels]`, strides in floats; `past`, `sums`, `spectra` and `nan_until` are the states. Thread `t`
    /// owns the [`LongConv::scratch_bytes`] bytes at `scratch + t * scratch_bytes`. All threads call it; the panels are
    /// split between them, and nobody waits.
    pub fn run(&self, module: &mut Module) -> String {
        block::function(self, module)
    }

    /// `f32` lanes of a vector.
    fn lanes(&self) -> u32 {
        self.machine.lanes
    }

    fn panels(&self) -> usize {
        self.channels.div_ceil(self.lanes() as usize)
    }

    /// Rows of a panel's prepared memory: taps of the direct sum, spectra of the sizes below the top, then of the top.
    fn prepared_rows(&self) -> usize {
        self.blocks.prepared()
    }

    /// Row of the spectrum that takes a block of `size` tokens to the next one.
    fn size_row(&self, size: usize) -> usize {
        self.blocks.smallest + 2 * (size - self.blocks.smallest)
    }

    /// Row of the spectrum that takes a block of the top size to the one `distance` blocks behind it.
    fn top_row(&self, distance: usize) -> usize {
        self.size_row(self.blocks.top()) + (distance - 1) * 2 * self.blocks.top()
    }

    /// Floats from a page of a state to the next one.
    fn page(&self) -> usize {
        PAGE_TOKENS * self.panels() * self.lanes() as usize
    }
}

/// Panels of states lie page by page: where row `row` of a panel is, whose first page is at `panel`.
fn row_of(f: &mut Func, panel: Val, page: Val, row: Val, lanes: u32) -> Val {
    let size = f.i64(PAGE_TOKENS as i64);
    let (number, inside) = (f.udiv(row, size), f.urem(row, size));
    let start = f.mul(number, page);
    let lanes = f.i64(i64::from(lanes));
    let inside = f.mul(inside, lanes);
    let at = f.add(start, inside);
    f.gep(panel, at, Scalar::F32)
}

/// Pointer to row `row` of rows of one vector.
fn rows(f: &mut Func, base: Val, row: Val, lanes: u32) -> Val {
    let lanes = f.i64(i64::from(lanes));
    let at = f.mul(row, lanes);
    f.gep(base, at, Scalar::F32)
}

/// The same, `row` known when compiling.
fn rows_at(f: &mut Func, base: Val, row: usize, lanes: u32) -> Val {
    if row == 0 {
        return base;
    }
    let at = f.i64((row * lanes as usize) as i64);
    f.gep(base, at, Scalar::F32)
}

/// A vector of reals.
fn vector(lanes: u32) -> Ty {
    Ty::V(lanes, Scalar::F32)
}
