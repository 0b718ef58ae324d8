//! Attention of queries that name the keys they see: blocks of rows go through named cells of keys, not through all pages.
//!
//! A *cell* is a part of a page that named blocks are made of. A block of rows first enters itself into a table of cells: which rows
//! see a part of which cell, by the blocks that their lists name, by their nearness, and by the beginning of the sequence
//! (`cells`). Then the cells that some row sees are gone through in order, each once, by the rows that see it, brought together into tiles (`tiles`).
//! So the products stay those of tiles however different the lists of neighbouring tokens are, and a row adds its cells up in their order.
//!
//! Which keys of a cell the lists of a row name stands in the table as a bit for each key. Predicates read these instead of the lists.

mod cells;
mod tiles;

use super::{
    blocks::{Block, QueryBlocks},
    layout::{PAGE, ceil_div},
    masked_values::{is_finite, twice},
    variant::Attend,
};
use crate::kernel::{Cmp, Func, Module, Val};
use seqc_passes::attention::named::{KeyBlocks, List, Named};

/// Cells that are looked at together: those of longer sequences in turn.
pub(super) const CELLS: usize = 2048;

/// Entries of the table of cells, pairs of a row and a cell that it sees.
const PAIRS: usize = 1 << 15;

/// Entries of lists that are looked through in the time of a key.
const LOOKED_AT: usize = 32;

/// Most rows of a block: the more there are, the more of them see the same cell.
const ROWS: usize = 512;

impl Attend {
    /// Keys that tile kernels go over: a page, or a cell.
    pub(super) fn cell(&self) -> usize {
        let Some(named) = self.names() else { return PAGE };
        self.cell_of(named)
    }

    /// Keys of a cell of named blocks.
    fn cell_of(&self, named: &Named) -> usize {
        let whole = |list: &List| {
            let KeyBlocks { size, shift } = list.blocks;
            1 << size.trailing_zeros().min(shift.trailing_zeros()).min(PAGE.trailing_zeros())
        };
        let least = named.lists.iter().map(whole).min().unwrap_or(PAGE);
        least.clamp(self.lanes() as usize, PAGE)
    }

    /// Lists of the queries.
    pub(super) fn lists(&self) -> &[List] {
        self.names().map_or(&[], |named| &named.lists)
    }

    /// Most cells of one segment that a row sees.
    fn cells_of_row(&self, named: &Named) -> usize {
        let cell = self.cell_of(named) as u64;
        let parts = |keys: u64, aligned: bool| match (keys, aligned) {
            (0, _) => 0,
            (_, true) => keys / cell,
            (_, false) => (keys + cell - 2) / cell + 1,
        };
        let of_list = |list: &List| {
            let KeyBlocks { size, shift } = list.blocks;
            let aligned = size % cell == 0 && shift.unsigned_abs() % cell == 0;
            parts(size, aligned).saturating_mul(list.entries as u64)
        };
        let near = parts(named.near.distance.unwrap_or(0), false).saturating_add(named.near.first.div_ceil(cell));
        let all = named.lists.iter().map(of_list).fold(near, u64::saturating_add);
        all.min(CELLS as u64) as usize
    }

    /// Most rows of a block of queries that name their keys, whole tiles.
    pub(super) fn named_rows(&self, named: &Named) -> usize {
        let fit = PAIRS / self.cells_of_row(named).max(1);
        let fit = fit.clamp(self.tile_rows(), ROWS);
        fit - fit % self.tile_rows()
    }

    /// Entries of the table of cells.
    pub(super) fn pairs_of_block(&self, named: &Named) -> usize {
        self.named_rows(named) * self.cells_of_row(named)
    }
}

impl Attend {
    /// The same attention over all pages: short sequences are faster so.
    pub(super) fn over_all_pages(&self) -> Attend {
        Attend {
            name: format!("{}_all", self.name),
            exhaustive: true,
            ..self.clone()
        }
    }

    /// Keys up to which all pages are gone over: as many as a query's cells take the time of, one query and many together. There every key
    /// is looked for in the lists.
    fn few_keys(&self, named: &Named) -> [i64; 2] {
        let (cells, size) = (self.cells_of_row(named), self.cell_of(named));
        let looked_at = 1 + named.names() / LOOKED_AT;
        [cells * size, cells * (size + self.machine.attention.gathered_row)].map(|keys| (keys / looked_at) as i64)
    }
}

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
                self.run_named(f);
                Vec::new()
            },
        );
    }

    /// All blocks of this thread.
    fn run_named(&self, f: &mut Func) {
        let ratio = f.i64(self.attend.ratio() as i64);
        let (rows, groups) = (f.mul(self.chunk.count, ratio), f.i64(self.attend.groups as i64));
        let size = self.named_block_rows(f, rows);
        let blocks = ceil_div(f, rows, size);
        let items = f.mul(blocks, groups);
        f.team_for(self.turn.cyclic(items), |f, item| {
            let (group, number) = (f.udiv(item, blocks), f.urem(item, blocks));
            let first = f.mul(number, size);
            let left = f.sub(rows, first);
            let block = Block {
                group,
                first,
                rows: f.min(left, size),
            };
            twice(f, |f, skip_masked| {
                self.initialise(f, block);
                self.add_cells(f, block, skip_masked);
                let sums = super::layout::float_at(f, self.mine, self.scratch.sums);
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
        let fewest = ceil_div(f, rows, most);
        let groups = f.i64(self.attend.groups as i64);
        let each = ceil_div(f, self.team.threads, groups);
        let blocks = f.max(fewest, each);
        let blocks = f.max(blocks, one);
        let share = ceil_div(f, rows, blocks);
        let tiles = ceil_div(f, share, tile);
        let share = f.mul(tiles, tile);
        let share = f.max(share, tile);
        f.min(share, most)
    }
}
