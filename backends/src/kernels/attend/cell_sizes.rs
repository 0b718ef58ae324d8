//! Sizes of what queries that name their keys go over: the keys of a cell, the cells of a segment, the rows of a block.

use super::variant::{Attend, PageCopy};
use seqc_ir::{AttendSpec, Clock, PairExpr};
use seqc_passes::attention::named::{KeyBlocks, List, Named};

/// Keys of a page.
const PAGE: usize = seqc_abi::PAGE_TOKENS;

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
            1 << size
                .trailing_zeros()
                .min(shift.trailing_zeros())
                .min(PAGE.trailing_zeros())
        };
        let least = named.lists.iter().map(whole).min().unwrap_or(PAGE);
        least.clamp(self.lanes() as usize, PAGE)
    }

    /// Lists of the queries.
    pub(super) fn lists(&self) -> &[List] {
        self.names().map_or(&[], |named| &named.lists)
    }

    /// What queries name, where they bring single keys together.
    pub(super) fn alone(&self) -> Option<&Named> {
        self.names().filter(|named| self.stand_alone(named))
    }

    /// Whether queries name keys that fill no vector, nothing else decides what they see, and scores depend on no positions.
    fn stand_alone(&self, named: &Named) -> bool {
        let small = |list: &List| list.blocks.size < u64::from(self.lanes());
        let places = |e: &PairExpr| {
            matches!(
                e,
                PairExpr::QueryPos
                    | PairExpr::KeyPos
                    | PairExpr::KeyStream(_)
                    | PairExpr::Table(..)
                    | PairExpr::Listed(..)
            )
        };
        let anywhere = self.spec.score.as_ref().is_none_or(|score| !score.any(&places));
        let plain = self.spec.clock == Clock::Every && self.spec.key_streams == 0 && self.spec.tables == 0;
        named.exact && anywhere && plain && named.lists.iter().any(small)
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
        if self.stand_alone(named) {
            return self.page_rows();
        }
        let fit = PAIRS / self.cells_of_row(named).max(1);
        let fit = fit.clamp(self.tile_rows(), ROWS);
        fit - fit % self.tile_rows()
    }

    /// Entries of the table of cells.
    pub(super) fn pairs_of_block(&self, named: &Named) -> usize {
        // Where keys stand alone, one row enters the table for all of its block.
        let rows = if self.stand_alone(named) {
            1
        } else {
            self.named_rows(named)
        };
        rows * self.cells_of_row(named)
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

    /// The same attention over pages of keys that are all seen.
    pub(super) fn over_own_pages(&self) -> Attend {
        Attend {
            name: format!("{}_own", self.name),
            exhaustive: true,
            copy: PageCopy::OfMember,
            spec: AttendSpec {
                predicate: None,
                causal: false,
                ..self.spec.clone()
            },
            ..self.clone()
        }
    }

    /// Keys up to which all pages are gone over: as many as a query's cells take the time of, one query and many together. There every key
    /// is looked for in the lists.
    pub(super) fn few_keys(&self, named: &Named) -> [i64; 2] {
        if self.stand_alone(named) {
            return [named.names() as i64; 2];
        }
        let (cells, size) = (self.cells_of_row(named), self.cell_of(named));
        let looked_at = 1 + named.names() / LOOKED_AT;
        [cells * size, cells * (size + self.machine.attention.gathered_row)].map(|keys| (keys / looked_at) as i64)
    }
}
