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
    pub(super) next: Val,
}

/// What the rows of a tile see of a page.
#[derive(Clone, Copy)]
pub(super) struct SeenKeys {
    /// Keys that there are: nobody sees those behind them.
    keys: Val,
    /// All rows see all keys.
    all: Val,
    /// No row sees any.
    pub(super) none: Val,
}

impl QueryBlocks<'_> {
    /// Adds some pages to the sums of a block. `skip_masked`: values of keys that a query does not see are left out rather than
    /// multiplied by a weight of zero.
    pub(super) fn add_pages(&self, f: &mut Func, block: Block, range: PageRange, skip_masked: Val) {
        let one = f.i64(1);
        let last = f.sub(range.high, one);
        f.for_each(range.low, range.high, 1, |f, n| {
            let after = f.add(n, one);
            let after = f.min(after, last);
            let [page, next] = [n, after].map(|n| self.page_number(f, range, n));
            let head = self.head_pages(f, block.group, [page, next]);
            self.tiles_of(f, block, page, head, skip_masked);
        });
    }

    /// The page that a block goes over as its `n`th.
    pub(super) fn page_number(&self, f: &mut Func, range: PageRange, n: Val) -> Val {
        // Sums over the keys behind a key begin with the last page.
        let n = if self.attend.spec.sums_behind().is_empty() {
            n
        } else {
            let one = f.i64(1);
            let (last, from_first) = (f.sub(range.high, one), f.sub(n, range.low));
            f.sub(last, from_first)
        };
        let reach = range.reach;
        let skipped = f.sub(n, reach.before);
        let window = f.add(reach.start, skipped);
        let pinned = f.cmp(Cmp::Lt, n, reach.before);
        f.select(pinned, n, window)
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

    /// A head's part of a page of keys and of one of values in the cache.
    pub(super) fn stored_pages(&self, f: &mut Func, group: Val, page: Val) -> [Val; 2] {
        let slot = self.attend.slot(f, page);
        let (keys, values) = (self.attend.key_dim, self.attend.value_width());
        [(self.pages.keys, keys), (self.pages.values, values)]
            .map(|(pages, width)| self.attend.head_page(f, pages, slot, group, width))
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

    /// All tiles of a block over one page.
    pub(super) fn tiles_of(&self, f: &mut Func, block: Block, page: Val, head: HeadPages, skip_masked: Val) {
        let (zero, tile) = (f.i64(0), f.i64(self.attend.tile_rows() as i64));
        f.for_each(zero, block.rows, self.attend.tile_rows() as i64, |f, at| {
            let left = f.sub(block.rows, at);
            let rows = f.min(left, tile);
            let args = TileArgs {
                at,
                first: f.add(block.first, at),
                ..self.tile_args(f, block, rows, page)
            };
            self.tile(f, args, head, skip_masked);
        });
    }

    /// The first rows of a block over one page.
    pub(super) fn tile_args(&self, f: &mut Func, block: Block, rows: Val, page: Val) -> TileArgs {
        TileArgs {
            scratch: self.mine,
            table: self.table,
            at: f.i64(0),
            rows,
            first: block.first,
            group: block.group,
            page,
            position: self.chunk.position,
            count: self.chunk.count,
        }
    }

    /// One tile over one page of its head, unless no row sees a key of it.
    fn tile(&self, f: &mut Func, args: TileArgs, head: HeadPages, skip_masked: Val) {
        let seen = self.seen_keys(f, args);
        let some = f.not(seen.none);
        f.if_then(some, |f| {
            let list = [
                &args.list()[..],
                &[head.keys, head.values, head.next, seen.keys, seen.all, skip_masked],
            ]
            .concat();
            f.call(&self.page_kernel, &list, None);
        });
    }

    /// What the rows of a tile see of a page, as far as positions and bounds of streams say.
    pub(super) fn seen_keys(&self, f: &mut Func, args: TileArgs) -> SeenKeys {
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
        SeenKeys {
            keys,
            all: coverage.all.val(f),
            none: coverage.none.val(f),
        }
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
