//! Blocks of query rows, the pages that they can see, and the kernel that goes over both.

use super::{
    layout::{Scratch, Strided},
    table::Tables,
    ticks::Chunk,
    variant::Attend,
};
use crate::kernel::{Func, Team, Val};

/// Pages of keys and of values.
#[derive(Clone, Copy)]
pub(super) struct KvPages {
    pub(super) keys: Val,
    pub(super) values: Val,
}

/// How the keys and values of one head's page come into scratch.
#[derive(Clone)]
pub(super) struct Copies {
    /// The function that copies them.
    pub(super) read: String,
    /// Its arguments but for the last, the page.
    pub(super) list: Vec<Val>,
    /// Where the keys are then, where they are copied.
    pub(super) keys: Option<Val>,
    /// Where the values are.
    pub(super) values: Option<Val>,
}

/// The kernel being written: its parameters, and what follows from them.
pub(super) struct QueryBlocks<'a> {
    pub(super) attend: &'a Attend,
    pub(super) tables: &'a Tables,
    /// Name of the function for a tile and a page.
    pub(super) page_kernel: String,
    /// The same for pages in scratch, where keys are brought together.
    pub(super) own_kernel: String,
    pub(super) scratch: Scratch,
    /// Rows of queries, one for each token.
    pub(super) queries: Strided,
    /// Rows of the result.
    pub(super) out: Strided,
    /// The pages of the cache.
    pub(super) pages: KvPages,
    /// Where pages are copied before they are read.
    pub(super) copies: Option<Copies>,
    pub(super) table: Val,
    pub(super) chunk: Chunk,
    /// Scratch of all threads.
    pub(super) base: Val,
    /// Scratch of this thread.
    pub(super) mine: Val,
    pub(super) team: Team,
    /// The same team, numbered by who gets the first block.
    pub(super) turn: Team,
    /// Segments that follow one another without a barrier.
    pub(super) segments: Val,
}

/// Consecutive rows of one key head.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Key head.
    pub(super) group: Val,
    /// First row.
    pub(super) first: Val,
    /// Rows.
    pub(super) rows: Val,
}

impl Block {
    /// Item `item` of a list of all blocks of all key heads, head after head, where the rows of a head are `rows`, up to `size` to a block.
    pub(super) fn of_item(f: &mut Func, item: Val, rows: Val, size: Val, blocks: Val) -> Block {
        let (group, number) = (f.udiv(item, blocks), f.urem(item, blocks));
        let first = f.mul(number, size);
        let left = f.sub(rows, first);
        Block {
            group,
            first,
            rows: f.min(left, size),
        }
    }
}

/// A row of queries.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The row of the chunk where its token is.
    pub(super) token: Val,
    /// Query head.
    pub(super) head: Val,
}

/// Pages that a block can see: pinned ones before the window, then those of the window.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// Pinned pages.
    pub(super) before: Val,
    /// First page of the window.
    pub(super) start: Val,
    /// How many there are together.
    pub(super) count: Val,
}

/// Some of the pages that a block can see.
#[derive(Clone, Copy)]
pub(super) struct PageRange {
    pub(super) reach: Reach,
    /// Number of the first one.
    pub(super) low: Val,
    /// Number behind the last one.
    pub(super) high: Val,
}
