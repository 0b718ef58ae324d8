//! Parameters of the functions for one tile of rows and one page.

use super::ticks::Chunk;
use crate::{kernel::Ty, parameters::parameters};

parameters! {
    /// Parameters of the scoring functions, and of the functions that call them.
    struct TileArgs {
        /// Scratch of the thread.
        scratch: Ty::SCRATCH,
        /// Pages of key streams, pointers and strides of query streams.
        table: Ty::PRIVATE,
        /// First row of the tile in its block.
        at: Ty::I64,
        /// Rows of the tile.
        rows: Ty::I64,
        /// First row of the tile among the rows of the chunk.
        first: Ty::I64,
        /// Key head.
        group: Ty::I64,
        /// Page of the sequence.
        page: Ty::I64,
        /// Position of the first key among the tokens at hand.
        position: Ty::I64,
        /// Tokens at hand, or keys where these are queries too.
        count: Ty::I64,
    }
}

impl TileArgs {
    /// The current tokens.
    pub(super) fn chunk(&self) -> Chunk {
        Chunk {
            position: self.position,
            count: self.count,
        }
    }
}
