//! Products of many rows on matrix units, by the members of a block together: weights are unpacked once into memory that they share, and each member multiplies
//! rows of activations of its own with them, which arrive there while it multiplies others.
//!
//! A member computes the results of its rows alone, for all rows of weights and all columns, so that it needs no barrier to go on with them.

mod layout;
mod product;
mod stream;
mod tile;
mod weights;

use super::{LANES, Lane, Parts, ROWS, SUMMED, TOKENS, WORDS, lanes, numbers, products};

pub use layout::MEMBER_TOKENS;
pub use product::{BlockRows, block_gemm, block_gemm_name, block_gemm_scratch_bytes};
