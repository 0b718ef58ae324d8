//! Parameters of the functions for one tile of rows and one page.

use super::ticks::Chunk;
use crate::kernel::{Ty, Val};

/// Parameters of the scoring functions, and of the functions that call them.
#[derive(Clone, Copy)]
pub(super) struct TileArgs {
    /// Scratch of the thread.
    pub(super) scratch: Val,
    /// Pages of key streams, pointers and strides of query streams.
    pub(super) table: Val,
    /// First row of the tile in its block.
    pub(super) at: Val,
    /// Rows of the tile.
    pub(super) rows: Val,
    /// First row of the tile among the rows of the chunk.
    pub(super) first: Val,
    /// Key head.
    pub(super) group: Val,
    /// Page of the sequence.
    pub(super) page: Val,
    /// The tokens at hand.
    pub(super) chunk: Chunk,
}

impl TileArgs {
    pub(super) const TYPES: [Ty; 9] = [
        Ty::SCRATCH,
        Ty::PRIVATE,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
    ];

    pub(super) fn of(params: &[Val]) -> TileArgs {
        TileArgs {
            scratch: params[0],
            table: params[1],
            at: params[2],
            rows: params[3],
            first: params[4],
            group: params[5],
            page: params[6],
            chunk: Chunk {
                position: params[7],
                count: params[8],
            },
        }
    }

    pub(super) fn list(&self) -> [Val; 9] {
        [
            self.scratch,
            self.table,
            self.at,
            self.rows,
            self.first,
            self.group,
            self.page,
            self.chunk.position,
            self.chunk.count,
        ]
    }
}
