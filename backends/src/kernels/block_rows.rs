//! Blocks of rows of weights that are one after another in memory.

use crate::kernel::{Func, Scalar, Val};

/// A block of each of some rows.
#[derive(Clone, Copy)]
pub(super) struct BlockRows {
    /// That of the first row.
    pub(super) first: Val,
    /// Bytes of a row.
    pub(super) stride: Val,
    /// How many rows are read.
    pub(super) count: u32,
    /// How many of them exist, where not all do. The others are zeros.
    pub(super) valid: Option<Val>,
}

impl BlockRows {
    /// The block of row `r`.
    pub(super) fn block(&self, f: &mut Func, r: Val) -> Val {
        let offset = f.mul(r, self.stride);
        f.gep(self.first, offset, Scalar::I8)
    }
}
