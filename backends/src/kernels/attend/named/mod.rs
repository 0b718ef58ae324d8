//! Attention of queries that name the keys they see: blocks of rows go through named cells of keys, not through all pages.
//!
//! A *cell* is a part of a page that named blocks are made of. A block of rows first enters itself into a table of cells: which rows
//! see a part of which cell, by the blocks that their lists name, by their nearness, and by the beginning of the sequence
//! (`cells`). Then the cells that some row sees are gone through in order, each once, by the rows that see it, brought together into tiles (`tiles`).
//! So the products stay those of tiles however different the lists of neighbouring tokens are, and a row adds its cells up in their order.
//!
//! Which keys of a cell the lists of a row name stands in the table as a bit for each key. Predicates read these instead of the lists.

mod alone;
mod cells;
mod tiles;

use super::{
    blocks::{Block, QueryBlocks},
    layout::float_at,
    masked_values::{is_finite, twice},
    variant::Attend,
};
use crate::kernel::{Cmp, Func, Module, Val};

/// Adds the functions that the blocks call.
pub(super) fn functions(attend: &Attend, module: &mut Module) {
    cells::add_enter(attend, module);
}

impl QueryBlocks<'_> {
    /// All blocks of this thread over what they name, or by `all`, the function with the same parameters, over all pages where these are few.
    pub(super) fn run_named_or(&self, f: &mut Func, all: &str) {
        let Some(named) = self.attend.names() else { return };
        let [one_query, many] = self.attend.few_keys(named).map(|keys| f.i64(keys));
        let one = f.i64(1);
        let single = f.cmp(Cmp::Eq, self.chunk.count, one);
        let few = f.select(single, one_query, many);
        let keys = self.attend.keys_end(f, self.table, self.chunk);
        let short = f.cmp(Cmp::Le, keys, few);
        let params = f.params();
        f.if_else(
            short,
            |f| f.call(all, &params, None).into_iter().collect(),
            |f| {
                if self.attend.alone().is_some() {
                    self.run_alone(f);
                } else {
                    self.run_named(f);
                }
                Vec::new()
            },
        );
    }

    /// All blocks of this thread.
    fn run_named(&self, f: &mut Func) {
        let ratio = f.i64(self.attend.ratio() as i64);
        let (rows, groups) = (f.mul(self.chunk.count, ratio), f.i64(self.attend.groups as i64));
        let size = self.named_block_rows(f, rows);
        let blocks = f.ceil_div(rows, size);
        let items = f.mul(blocks, groups);
        f.team_for(self.turn.cyclic(items), |f, item| {
            let block = Block::of_item(f, item, rows, size, blocks);
            twice(f, |f, skip_masked| {
                self.initialise(f, block);
                self.add_cells(f, block, skip_masked);
                let sums = float_at(f, self.mine, self.scratch.sums);
                is_finite(f, self.attend, sums, block)
            });
            self.write_results(f, block);
        });
    }

    /// Rows of a block, in whole tiles: the rows of a head in as few blocks as fit, and one for each thread at least.
    fn named_block_rows(&self, f: &mut Func, rows: Val) -> Val {
        let (most, tile, one) = (
            f.i64(self.attend.block_rows() as i64),
            f.i64(self.attend.tile_rows() as i64),
            f.i64(1),
        );
        let fewest = f.ceil_div(rows, most);
        let groups = f.i64(self.attend.groups as i64);
        let each = f.ceil_div(self.team.threads, groups);
        let blocks = f.max(fewest, each);
        let blocks = f.max(blocks, one);
        let share = f.ceil_div(rows, blocks);
        let tiles = f.ceil_div(share, tile);
        let share = f.mul(tiles, tile);
        let share = f.max(share, tile);
        f.min(share, most)
    }
}
