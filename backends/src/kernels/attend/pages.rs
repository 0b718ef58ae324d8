//! One block over pages: tiles of rows against pages of keys, those without a visible pair left out.

use super::{
    blocks::{Block, PageRange, QueryBlocks},
    bounds::Bounds,
    interval::{Bit, Coverage, PairTile},
    layout::{PAGE, float_at},
    tile_args::TileArgs,
    values_in_keys,
};
use crate::kernel::{Cmp, Func, Val};

/// Pages of one head.
#[derive(Clone, Copy)]
pub(super) struct HeadPages {
    pub(super) keys: Val,
    pub(super) values: Val,
    /// The keys of the page after this one, or of the last page.
    next: Val,
}

impl QueryBlocks<'_> {
    /// Adds some pages to the sums of a block. `skip_masked`: values of keys that a query does not see are left out rather than
    /// multiplied by a weight of zero.
    pub(super) fn add_pages(&self, f: &mut Func, block: Block, range: PageRange, skip_masked: Val) {
        let reach = range.reach;
        let page = |f: &mut Func, n: Val| {
            let skipped = f.sub(n, reach.before);
            let window = f.add(reach.start, skipped);
            let pinned = f.cmp(Cmp::Lt, n, reach.before);
            f.select(pinned, n, window)
        };
        let one = f.i64(1);
        let last = f.sub(range.high, one);
        // Sums over the keys behind a key begin with the last page.
        let backward = !self.attend.spec.sums_behind().is_empty();
        f.for_each(range.low, range.high, 1, |f, n| {
            let after = f.add(n, one);
            let after = f.min(after, last);
            let [at, next] = [n, after].map(|n| {
                if !backward {
                    return page(f, n);
                }
                let from_first = f.sub(n, range.low);
                let turned = f.sub(last, from_first);
                page(f, turned)
            });
            self.tiles(f, block, [at, next], skip_masked);
        });
    }

    /// A head's part of a page, after which comes `next`.
    pub(super) fn head_pages(&self, f: &mut Func, group: Val, [page, next]: [Val; 2]) -> HeadPages {
        if let Some(copies) = &self.copies {
            f.call(&copies.read, &[&copies.list[..], &[page]].concat(), None);
        }
        let attend = self.attend;
        let head = |f: &mut Func, pages: Val, page: Val, width: usize| {
            let slot = attend.slot(f, page);
            attend.head_page(f, pages, slot, group, width)
        };
        let copied = self.copies.as_ref();
        let keys = copied.and_then(|copies| copies.keys);
        let values = copied.and_then(|copies| copies.values);
        let keys_of_page = keys.unwrap_or_else(|| head(f, self.pages.keys, page, attend.key_dim));
        let values = values.unwrap_or_else(|| match attend.values_in_keys {
            Some(_) => self.values_of_keys(f, keys_of_page),
            None => head(f, self.pages.values, page, attend.value_width()),
        });
        HeadPages {
            keys: keys_of_page,
            values,
            next: keys.unwrap_or_else(|| head(f, self.pages.keys, next, attend.key_dim)),
        }
    }

    /// Values of a head's page in scratch, read from its keys.
    fn values_of_keys(&self, f: &mut Func, keys: Val) -> Val {
        let to = float_at(f, self.mine, self.scratch.values);
        f.call(&values_in_keys::name(self.attend), &[keys, to], None);
        to
    }

    /// The keys of a head's page.
    pub(super) fn keys_of_page(&self, f: &mut Func, group: Val, page: Val) -> Val {
        self.head_pages(f, group, [page, page]).keys
    }

    /// All tiles of a block over one page, after which comes `next`.
    fn tiles(&self, f: &mut Func, block: Block, [page, next]: [Val; 2], skip_masked: Val) {
        let head = self.head_pages(f, block.group, [page, next]);
        let (zero, tile) = (f.i64(0), f.i64(self.attend.tile_rows() as i64));
        f.for_each(zero, block.rows, self.attend.tile_rows() as i64, |f, at| {
            let left = f.sub(block.rows, at);
            let args = TileArgs {
                scratch: self.mine,
                table: self.table,
                at,
                rows: f.min(left, tile),
                first: f.add(block.first, at),
                group: block.group,
                page,
                position: self.chunk.position,
                count: self.chunk.count,
            };
            self.tile(f, args, head, skip_masked);
        });
    }

    /// One tile over one page of its head, unless no row sees a key of it.
    fn tile(&self, f: &mut Func, args: TileArgs, head: HeadPages, skip_masked: Val) {
        let query = self.positions(f, args.first, args.rows);
        let (size, one) = (f.i64(PAGE as i64), f.i64(1));
        let start = f.mul(args.page, size);
        let next = f.add(start, size);
        let end = if self.attend.spec.causal {
            f.add(query.high, one)
        } else {
            self.attend.keys_end(f, self.table, self.chunk)
        };
        let keys = f.sub(end, start);
        let keys = f.min(keys, size);
        let last = if self.attend.spec.causal {
            query.low
        } else {
            f.sub(end, one)
        };
        let (behind, ahead) = (f.cmp(Cmp::Ge, start, end), f.sub(next, one));
        let within = f.cmp(Cmp::Le, ahead, last);
        let causal = Coverage {
            all: Bit::Val(within),
            none: Bit::Val(behind),
        };
        let key = Bounds {
            low: start,
            high: ahead,
        };
        let known = self.predicate(f, &args, query, key);
        let coverage = known.map_or(causal, |known| causal.and(f, known));
        let (all, none) = (coverage.all.val(f), coverage.none.val(f));
        let some = f.not(none);
        f.if_then(some, |f| {
            let list = [
                &args.list()[..],
                &[head.keys, head.values, head.next, keys, all, skip_masked],
            ]
            .concat();
            f.call(&self.page_kernel, &list, None);
        });
    }

    /// Bounds of the predicate, when there is one, for the queries of a tile and some keys.
    fn predicate(&self, f: &mut Func, args: &TileArgs, query: Bounds, key: Bounds) -> Option<Coverage> {
        let predicate = self.attend.spec.predicate.as_ref()?;
        let tile = self.pair_tile(f, args, query, key);
        Some(tile.coverage(f, predicate))
    }

    /// The queries of a tile and some keys.
    pub(super) fn pair_tile(&self, f: &mut Func, args: &TileArgs, query: Bounds, key: Bounds) -> PairTile<'_> {
        let ratio = self.attend.ratio() as i64;
        let (ratio, last) = (f.i64(ratio), f.i64(ratio - 1));
        let first = f.mul(args.group, ratio);
        PairTile {
            named: self.attend.lists(),
            lists: Vec::new(),
            tables: self.tables,
            query,
            key,
            group: args.group,
            head: Bounds {
                low: first,
                high: f.add(first, last),
            },
            streams: self.streams_of_tile(f, args.at),
        }
    }
}
