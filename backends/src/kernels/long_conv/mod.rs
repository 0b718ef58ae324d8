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
mod rows;
mod variant;

use crate::kernel::Module;
use seqc_abi::{PAGE_TOKENS, StateKind};
pub use variant::LongConv;

impl LongConv {
    /// Kinds of the state entries: the stream's past, sums for tokens to come, spectra of past blocks, and for each
    /// channel the position up to which results are NaN.
    pub fn states(&self) -> [StateKind; 4] {
        let row = self.panels() * self.lanes() as usize * 4;
        let entry = |rows: usize, rows_of_a_page: usize, width: usize| StateKind::Bounded {
            page_bytes: rows_of_a_page * row * width,
            pages: rows.div_ceil(rows_of_a_page),
        };
        [
            entry(self.blocks.top(), PAGE_TOKENS, 1),
            // A block of sums ends no later than twice as far from the start as its first token.
            entry(self.blocks.top(), 2 * PAGE_TOKENS, 1),
            entry(self.blocks.ring() * self.blocks.top(), PAGE_TOKENS, 2),
            StateKind::Fixed { bytes: row },
        ]
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
    /// split between them, without a barrier.
    pub fn run(&self, module: &mut Module) -> String {
        block::function(self, module)
    }

    /// `f32` lanes of a vector.
    fn lanes(&self) -> u32 {
        self.machine.lanes
    }
}
