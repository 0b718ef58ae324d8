//! Keys that stand alone: queries that name single keys, or a few neighbours, bring these together into a page of their own, which tiles of rows
//! go over as over any other.
//!
//! Only where the predicate says nothing else and the scores depend on no positions: then every key of such a page is seen by all rows of the block. The
//! rows of a block have one list: those of a token, or one row where heads have lists of their own.

use crate::{
    kernel::{Cmp, Func, Scalar, Ty, Val},
    kernels::attend::{
        blocks::{Block, QueryBlocks},
        layout::{PAGE, float_at, number_at, numbers_at},
        masked_values::{is_finite, twice},
        tile_args::TileArgs,
        variant::Attend,
    },
};

impl Attend {
    /// Whether all rows of a token have the same lists.
    fn lists_of_tokens(&self) -> bool {
        let of_token = |n: usize| self.query_widths[n] <= self.query_lists[n];
        self.lists().iter().all(|list| of_token(list.stream))
    }
}

impl QueryBlocks<'_> {
    /// All blocks of this thread, each of rows that have the same lists.
    pub(super) fn run_alone(&self, f: &mut Func) {
        let attend = self.attend;
        let ratio = attend.ratio();
        let most = if attend.lists_of_tokens() {
            attend.block_rows().min(ratio)
        } else {
            1
        };
        let (of_token, most_rows) = (f.i64(ratio.div_ceil(most) as i64), f.i64(most as i64));
        let (ratio, groups) = (f.i64(ratio as i64), f.i64(attend.groups as i64));
        let blocks = f.mul(self.chunk.count, of_token);
        let items = f.mul(blocks, groups);
        f.team_for(self.turn.cyclic(items), |f, item| {
            let (group, number) = (f.udiv(item, blocks), f.urem(item, blocks));
            let (token, part) = (f.udiv(number, of_token), f.urem(number, of_token));
            let (before, start) = (f.mul(token, ratio), f.mul(part, most_rows));
            let left = f.sub(ratio, start);
            let block = Block {
                group,
                first: f.add(before, start),
                rows: f.min(left, most_rows),
            };
            twice(f, |f, skip_masked| {
                self.initialise(f, block);
                self.bring_together(f, block, skip_masked);
                let sums = float_at(f, self.mine, self.scratch.sums);
                is_finite(f, attend, sums, block)
            });
            self.write_results(f, block);
        });
    }

    /// Adds the keys that the rows of a block name to their sums.
    fn bring_together(&self, f: &mut Func, block: Block, skip_masked: Val) {
        let zero = f.i64(0);
        let left = self.each_named_cell(f, block, zero, |f, [kept, cell, bits]| {
            let size = self.attend.cell() as i64;
            let (zero, one, end) = (f.i64(0), f.i64(1), f.i64(size));
            let start = f.mul(cell, end);
            f.for_loop(zero..end, one, &[kept], |f, lane, kept| {
                let bit = f.shr(bits, lane);
                let bit = f.and(bit, one);
                let named = f.cmp(Cmp::Eq, bit, one);
                f.if_else(
                    named,
                    |f| {
                        let key = f.add(start, lane);
                        self.bring_key(f, block.group, [key, kept[0]]);
                        let many = f.add(kept[0], one);
                        let size = f.i64(PAGE as i64);
                        let full = f.cmp(Cmp::Eq, many, size);
                        f.if_then(full, |f| self.own_page(f, block, many, skip_masked));
                        let zero = f.i64(0);
                        vec![f.select(full, zero, many)]
                    },
                    |_| vec![kept[0]],
                )
            })[0]
        });
        let some = f.cmp(Cmp::Gt, left, zero);
        f.if_then(some, |f| self.own_page(f, block, left, skip_masked));
    }

    /// Key and value `key` become number `place` of the page in scratch.
    fn bring_key(&self, f: &mut Func, group: Val, [key, place]: [Val; 2]) {
        let (attend, elem) = (self.attend, self.attend.elem());
        let size = f.i64(PAGE as i64);
        let (page, column) = (f.udiv(key, size), f.urem(key, size));
        let head = self.head_pages(f, group, [page, page]);
        let own = self.own_pages(f);
        let (from, to) = (f.gep(head.keys, column, elem), f.gep(own[0], place, elem));
        let (zero, end) = (f.i64(0), f.i64(attend.key_dim as i64));
        f.for_each(zero, end, 1, |f, e| {
            let p = numbers_at(f, from, e, PAGE, elem);
            let x = f.load(p, Ty::S(elem));
            let p = numbers_at(f, to, e, PAGE, elem);
            f.store(x, p);
        });
        for panel in attend.panels() {
            let [from, to] = [(head.values, column), (own[1], place)].map(|(page, row)| {
                let panel_of = number_at(f, page, PAGE * panel.start, elem);
                numbers_at(f, panel_of, row, panel.width, elem)
            });
            for start in (0..panel.width).step_by(attend.lanes() as usize) {
                let p = number_at(f, from, start, elem);
                let x = f.load(p, Ty::V(attend.lanes(), elem));
                let p = number_at(f, to, start, elem);
                f.store(x, p);
            }
        }
    }

    /// The page in scratch: keys, and values.
    fn own_pages(&self, f: &mut Func) -> [Val; 2] {
        let zero = f.i64(0);
        [self.scratch.own_keys, self.scratch.own_values].map(|at| {
            let page = float_at(f, self.mine, at);
            f.gep(page, zero, Scalar::I8)
        })
    }

    /// Adds the first `keys` keys of the page in scratch to the sums of a block.
    fn own_page(&self, f: &mut Func, block: Block, keys: Val, skip_masked: Val) {
        let [page_keys, page_values] = self.own_pages(f);
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        let all = f.cmp(Cmp::Eq, keys, size);
        let tile = self.attend.tile_rows() as i64;
        let most = f.i64(tile);
        f.for_each(zero, block.rows, tile, |f, at| {
            let left = f.sub(block.rows, at);
            let args = TileArgs {
                scratch: self.mine,
                table: self.table,
                at,
                rows: f.min(left, most),
                first: f.add(block.first, at),
                group: block.group,
                page: zero,
                position: zero,
                count: keys,
            };
            let list = [
                &args.list()[..],
                &[page_keys, page_values, page_keys, keys, all, skip_masked],
            ]
            .concat();
            f.call(&self.own_kernel, &list, None);
        });
    }
}
