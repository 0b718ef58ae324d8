//! The rows that see a cell, brought together into tiles: what they have summed up so far is copied there and back.

use crate::{
    kernel::{Cmp, Func, Scalar, Ty, Val},
    kernels::attend::{
        blocks::{Block, QueryBlocks},
        bounds::Bounds,
        interval::{Bit, Coverage, PairTile},
        layout::{Scratch, float_at, load, row_at, store, vectors},
        tile_args::TileArgs,
    },
};

/// A cell that rows see.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    /// Its number in the sequence.
    pub(super) number: Val,
    /// Its entry in the table that came last.
    pub(super) last: Val,
    /// How many it has.
    pub(super) count: Val,
}

/// Floats that rows have, in blocks and in tiles.
#[derive(Clone, Copy)]
struct Field {
    block: usize,
    tile: usize,
    width: usize,
}

impl QueryBlocks<'_> {
    /// Adds a cell to the sums of the rows of a block that see it.
    pub(super) fn tiles_of_cell(&self, f: &mut Func, block: Block, cell: Cell, skip_masked: Val) {
        let (zero, one) = (f.i64(0), f.i64(1));
        let (most, behind) = (f.i64(self.attend.tile_rows() as i64), f.sub(cell.count, one));
        f.for_loop(zero..cell.count, one, &[cell.last, zero], |f, n, carried| {
            let (pair, at) = (carried[0], carried[1]);
            let entry = self.pair(f, pair);
            self.bring(f, block, [pair, entry.row, at]);
            let rows = f.add(at, one);
            let (full, all) = (f.cmp(Cmp::Eq, rows, most), f.cmp(Cmp::Eq, n, behind));
            let complete = f.or(full, all);
            f.if_then(complete, |f| {
                self.tile_of_cell(f, block, [cell.number, rows], skip_masked);
                f.for_each(zero, rows, 1, |f, at| self.take_back(f, block, at));
            });
            vec![entry.next, f.select(complete, zero, rows)]
        });
    }

    /// Queries, sums, their weight and the largest score of a row.
    fn fields(&self) -> [Field; 4] {
        let (block, tile) = (self.scratch, self.scratch.tiles());
        let field = |of: fn(&Scratch) -> usize, width| Field {
            block: of(&block),
            tile: of(&tile),
            width,
        };
        [
            field(|s| s.queries, self.attend.key_dim),
            field(|s| s.sums, self.attend.found_width()),
            field(|s| s.total, self.attend.lanes() as usize),
            field(|s| s.largest, 1),
        ]
    }

    fn copy(&self, f: &mut Func, field: Field, [row, at]: [Val; 2], back: bool) {
        let inside = float_at(f, self.mine, field.block);
        let inside = row_at(f, inside, row, field.width);
        let tile = float_at(f, self.mine, field.tile);
        let tile = row_at(f, tile, at, field.width);
        let (from, to) = if back { (tile, inside) } else { (inside, tile) };
        if field.width == 1 {
            let x = f.load(from, Ty::F32);
            return f.store(x, to);
        }
        vectors(f, self.attend.lanes(), field.width, |f, start, mask| {
            let p = float_at(f, from, start);
            let x = load(f, p, self.attend.lanes(), mask);
            let p = float_at(f, to, start);
            store(f, x, p, mask);
        });
    }

    /// Row `row` of the block, whose entry in the table is `pair`, becomes row `at` of the tile.
    fn bring(&self, f: &mut Func, block: Block, [pair, row, at]: [Val; 3]) {
        let rows = float_at(f, self.mine, self.scratch.rows);
        let to = f.gep(rows, at, Scalar::I64);
        let number = f.add(block.first, row);
        f.store(number, to);
        for n in 0..self.attend.lists().len() {
            let from = self.attend.bits_of_pair(f, self.mine, pair, n);
            let bits = f.load(from, Ty::I64);
            let to = self.attend.bits_of_row(f, self.mine, at, n);
            f.store(bits, to);
        }
        for field in self.fields() {
            self.copy(f, field, [row, at], false);
        }
    }

    /// What row `at` of the tile has summed up goes back to its row of the block.
    fn take_back(&self, f: &mut Func, block: Block, at: Val) {
        let rows = float_at(f, self.mine, self.scratch.rows);
        let p = f.gep(rows, at, Scalar::I64);
        let number = f.load(p, Ty::I64);
        let row = f.sub(number, block.first);
        for field in &self.fields()[1..] {
            self.copy(f, *field, [row, at], true);
        }
    }

    /// One tile of rows over a cell.
    fn tile_of_cell(&self, f: &mut Func, block: Block, [cell, rows]: [Val; 2], skip_masked: Val) {
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(self.attend.cell() as i64));
        let args = TileArgs {
            scratch: self.mine,
            table: self.table,
            at: zero,
            rows,
            first: zero,
            group: block.group,
            page: cell,
            position: self.chunk.position,
            count: self.chunk.count,
        };
        // Later rows come first.
        let end = f.sub(rows, one);
        let query = Bounds {
            low: self.position_of_row(f, end),
            high: self.position_of_row(f, zero),
        };
        let start = f.mul(cell, size);
        let behind = f.add(start, size);
        let ahead = f.sub(behind, one);
        let last = f.add(query.high, one);
        let keys = f.sub(last, start);
        let keys = f.min(keys, size);
        let within = f.cmp(Cmp::Le, ahead, query.low);
        let causal = Coverage {
            all: Bit::Val(within),
            none: Bit::Known(false),
        };
        let key = Bounds {
            low: start,
            high: ahead,
        };
        let lists = self.coverage_of_lists(f, rows);
        let coverage = match &self.attend.spec.predicate {
            Some(predicate) => {
                let tile = PairTile {
                    lists,
                    ..self.pair_tile(f, &args, query, key)
                };
                let known = tile.coverage(f, predicate);
                causal.and(f, known)
            }
            None => causal,
        };
        let all = coverage.all.val(f);
        let page = self.attend.page_of_tile(f, cell);
        let head = self.head_pages(f, block.group, [page, page]);
        let list = [
            &args.list()[..],
            &[head.keys, head.values, head.keys, keys, all, skip_masked],
        ]
        .concat();
        f.call(&self.page_kernel, &list, None);
    }

    /// Position of the token of row `at` of the tile.
    fn position_of_row(&self, f: &mut Func, at: Val) -> Val {
        let rows = float_at(f, self.mine, self.scratch.rows);
        let p = f.gep(rows, at, Scalar::I64);
        let row = f.load(p, Ty::I64);
        self.position(f, row)
    }

    /// For which rows and keys of the tile each list names the key.
    fn coverage_of_lists(&self, f: &mut Func, rows: Val) -> Vec<Coverage> {
        let lists = self.attend.lists().len();
        let (zero, one, all, none) = (f.i64(0), f.i64(1), f.i64(-1), f.i64(0));
        let init: Vec<Val> = (0..lists).flat_map(|_| [all, none]).collect();
        let found = f.for_loop(zero..rows, one, &init, |f, at, found| {
            let join = |n: usize| {
                let p = self.attend.bits_of_row(f, self.mine, at, n);
                let bits = f.load(p, Ty::I64);
                [f.and(found[2 * n], bits), f.or(found[2 * n + 1], bits)]
            };
            (0..lists).flat_map(join).collect()
        });
        let full = f.i64(if self.attend.cell() == 64 {
            -1
        } else {
            (1 << self.attend.cell()) - 1
        });
        let coverage = |bits: &[Val]| Coverage {
            all: Bit::Val(f.cmp(Cmp::Eq, bits[0], full)),
            none: Bit::Val(f.cmp(Cmp::Eq, bits[1], none)),
        };
        found.chunks(2).map(coverage).collect()
    }
}
