//! The walk: blocks of rows over the pages that they can see.

use super::{
    Attend,
    interval::{Bit, Bounds, Coverage, PairTile},
    layout::{BLOCK, PAGE, Scratch, TILE, ceil_div, float_at, load, row_at, store, vectors},
    page_kernel,
    score::{self, Args},
    split_kv::{inverse, log_sum},
    table::Tables,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_ir::Normaliser;

/// Adds the function of [`Attend::attend`], or of [`Attend::attend_split`], and those it calls.
pub(super) fn attend(attend: &Attend, module: &mut Module, split: bool) -> String {
    let tables = Tables::new(attend, module);
    let page = page_kernel::function(attend, module, &tables);
    let name = format!("{}_attend{}", attend.name, if split { "_split" } else { "" });
    let params = [
        vec![Ty::Ptr, Ty::I64, Ty::Ptr, Ty::I64, Ty::Ptr, Ty::Ptr, Ty::Ptr],
        vec![Ty::I64, Ty::I64, Ty::Ptr, Ty::I64, Ty::I64],
        vec![Ty::Ptr; usize::from(split)],
    ]
    .concat();
    let mut f = Func::new(&name, &params, None);
    let walk = Walk::new(attend, &tables, &mut f, page);
    if split {
        module.declare(seqc_abi::symbols::BARRIER, &[Ty::Ptr, Ty::I64, Ty::I64], None);
        let barrier = f.param(12);
        walk.split_or_blocks(&mut f, barrier);
    } else {
        walk.blocks(&mut f);
    }
    module.add(f);
    name
}

/// Parameters of the function, and what follows from them.
pub(super) struct Walk<'a> {
    pub(super) attend: &'a Attend,
    tables: &'a Tables,
    page: String,
    pub(super) scratch: Scratch,
    pub(super) q: (Val, Val),
    pub(super) out: (Val, Val),
    pages: (Val, Val),
    pub(super) table: Val,
    pub(super) position: Val,
    pub(super) count: Val,
    /// Scratch of all threads.
    pub(super) base: Val,
    /// Scratch of this thread.
    pub(super) mine: Val,
    pub(super) tid: Val,
    pub(super) threads: Val,
}

/// A block: consecutive rows of one key head.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) group: Val,
    /// First row.
    pub(super) first: Val,
    /// Rows.
    pub(super) rows: Val,
}

/// Pages that a block can see: pinned ones before the window, then those of the window.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    before: Val,
    start: Val,
    /// How many.
    pub(super) count: Val,
}

impl<'a> Walk<'a> {
    fn new(attend: &'a Attend, tables: &'a Tables, f: &mut Func, page: String) -> Walk<'a> {
        let scratch = Scratch::new(attend);
        let (base, tid) = (f.param(9), f.param(10));
        let mine = row_at(f, base, tid, scratch.bytes / 4);
        Walk {
            attend,
            tables,
            page,
            scratch,
            q: (f.param(0), f.param(1)),
            out: (f.param(2), f.param(3)),
            pages: (f.param(4), f.param(5)),
            table: f.param(6),
            position: f.param(7),
            count: f.param(8),
            base,
            mine,
            tid,
            threads: f.param(11),
        }
    }

    /// All blocks of this thread, head after head: the next block finds the head's pages in the cache.
    pub(super) fn blocks(&self, f: &mut Func) {
        let ratio = f.i64(self.attend.ratio() as i64);
        let (rows, groups) = (f.mul(self.count, ratio), f.i64(self.attend.groups as i64));
        let size = self.block_rows(f, rows);
        let blocks = ceil_div(f, rows, size);
        let items = f.mul(blocks, groups);
        f.for_loop((self.tid, items, self.threads), &[], |f, item, _| {
            let (group, number) = (f.udiv(item, blocks), f.urem(item, blocks));
            let first = f.mul(number, size);
            let left = f.sub(rows, first);
            let block = Block {
                group,
                first,
                rows: f.min(left, size),
            };
            let (reach, none) = (self.reach(f, block), f.i64(0));
            self.sum_pages(f, block, (reach, none, reach.count));
            self.finish(f, block);
            Vec::new()
        });
    }

    /// Rows of a block: as many as a thread has, in whole tiles, up to [`BLOCK`].
    fn block_rows(&self, f: &mut Func, rows: Val) -> Val {
        let groups = f.i64(self.attend.groups as i64);
        let all = f.mul(rows, groups);
        let share = ceil_div(f, all, self.threads);
        let (tile, most) = (f.i64(TILE as i64), f.i64(BLOCK as i64));
        let tiles = ceil_div(f, share, tile);
        let share = f.mul(tiles, tile);
        let share = f.max(share, tile);
        f.min(share, most)
    }

    /// Token of the chunk, where it lies, and head of a row.
    pub(super) fn row(&self, f: &mut Func, block: Block, r: Val) -> (Val, Val) {
        let row = f.add(block.first, r);
        let ratio = f.i64(self.attend.ratio() as i64);
        let (token, head) = (f.udiv(row, ratio), f.urem(row, ratio));
        let token = self.attend.query_row(f, self.table, token);
        let base = f.mul(block.group, ratio);
        (token, f.add(base, head))
    }

    /// Scaled queries, and nothing seen so far.
    pub(super) fn begin(&self, f: &mut Func, block: Block) {
        self.bound_streams(f, block);
        let (attend, lanes, zero) = (self.attend, self.attend.lanes, f.i64(0));
        let direct = attend.spec.normaliser == Normaliser::Softmax && attend.spec.score.is_none();
        let scale = attend.spec.scale * if direct { score::LOG2_E } else { 1.0 };
        let scale = f.float(Ty::V(lanes, Scalar::F32), scale as f32);
        let queries = float_at(f, self.mine, self.scratch.queries);
        let largest = float_at(f, self.mine, self.scratch.largest);
        let total = float_at(f, self.mine, self.scratch.total);
        let sums = float_at(f, self.mine, self.scratch.sums);
        f.for_each(zero, block.rows, 1, |f, r| {
            let (token, head) = self.row(f, block, r);
            let from = f.mul(token, self.q.1);
            let from = f.gep(self.q.0, from, Scalar::F32);
            let from = row_at(f, from, head, attend.key_dim);
            let to = row_at(f, queries, r, attend.key_dim);
            vectors(f, lanes, attend.key_dim, |f, start, mask| {
                let p = float_at(f, from, start);
                let x = load(f, p, lanes, mask);
                let x = f.mul(x, scale);
                let p = float_at(f, to, start);
                store(f, x, p, mask);
            });
            let (none, empty) = (f.f32(f32::NEG_INFINITY), f.zero(Ty::V(lanes, Scalar::F32)));
            let p = f.gep(largest, r, Scalar::F32);
            f.store(none, p);
            let p = row_at(f, total, r, lanes as usize);
            f.store(empty, p);
            if let Some(best) = attend.best() {
                let row = best.row(f, sums, r);
                return best.clear(f, row);
            }
            let to = row_at(f, sums, r, attend.value_width());
            vectors(f, lanes, attend.value_width(), |f, start, _| {
                let p = float_at(f, to, start);
                f.store(empty, p);
            });
        });
    }

    /// Position of a row's token.
    fn position(&self, f: &mut Func, row: Val) -> Val {
        let ratio = f.i64(self.attend.ratio() as i64);
        let token = f.udiv(row, ratio);
        self.attend.query_position(f, self.table, (self.position, token))
    }

    /// Number of keys with those of the chunk.
    fn keys_end(&self, f: &mut Func) -> Val {
        self.attend.keys_end(f, self.table, (self.position, self.count))
    }

    /// Positions of the first and the last of some rows.
    fn positions(&self, f: &mut Func, (first, rows): (Val, Val)) -> (Val, Val) {
        let (low, one) = (self.position(f, first), f.i64(1));
        let last = f.add(first, rows);
        let last = f.sub(last, one);
        (low, self.position(f, last))
    }

    /// The pages that some rows can see.
    pub(super) fn reach(&self, f: &mut Func, block: Block) -> Reach {
        let (low, high) = self.positions(f, (block.first, block.rows));
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let end = if self.attend.spec.causal {
            f.add(high, one)
        } else {
            self.keys_end(f)
        };
        let start = match self.attend.span.distance {
            None => zero,
            Some(distance) => {
                let reach = f.i64(i64::try_from(distance).unwrap_or(i64::MAX) - 1);
                let start = f.sub(low, reach);
                f.max(start, zero)
            }
        };
        let (start, end) = (f.udiv(start, size), ceil_div(f, end, size));
        let pinned = f.i64(self.attend.ring().pinned as i64);
        let before = f.min(pinned, start);
        let window = f.sub(end, start);
        let window = f.max(window, zero);
        Reach {
            before,
            start,
            count: f.add(before, window),
        }
    }

    /// Takes a block over pages `low..high` of those it can see.
    pub(super) fn pages(&self, f: &mut Func, block: Block, (reach, low, high): (Reach, Val, Val), careful: Val) {
        f.for_each(low, high, 1, |f, n| {
            let skipped = f.sub(n, reach.before);
            let window = f.add(reach.start, skipped);
            let pinned = f.cmp(Cmp::Lt, n, reach.before);
            let page = f.select(pinned, n, window);
            self.tiles(f, block, page, careful);
        });
    }

    fn tiles(&self, f: &mut Func, block: Block, page: Val, careful: Val) {
        let slot = self.attend.slot(f, page);
        let attend = self.attend;
        let k = attend.head_page(f, (self.pages.0, slot), block.group, attend.key_dim);
        let v = attend.head_page(f, (self.pages.1, slot), block.group, attend.value_width());
        let (zero, tile) = (f.i64(0), f.i64(TILE as i64));
        f.for_each(zero, block.rows, TILE as i64, |f, at| {
            let left = f.sub(block.rows, at);
            let args = Args {
                scratch: self.mine,
                table: self.table,
                at,
                rows: f.min(left, tile),
                first: f.add(block.first, at),
                group: block.group,
                page,
                position: self.position,
                count: self.count,
            };
            self.tile(f, args, (k, v), careful);
        });
    }

    /// One tile of rows and one page_kernel, unless no row sees a key of it.
    fn tile(&self, f: &mut Func, args: Args, (k, v): (Val, Val), careful: Val) {
        let (low, high) = self.positions(f, (args.first, args.rows));
        let (size, one) = (f.i64(PAGE as i64), f.i64(1));
        let start = f.mul(args.page, size);
        let next = f.add(start, size);
        let end = if self.attend.spec.causal {
            f.add(high, one)
        } else {
            self.keys_end(f)
        };
        let keys = f.sub(end, start);
        let keys = f.min(keys, size);
        let last = if self.attend.spec.causal { low } else { f.sub(end, one) };
        let (behind, ahead) = (f.cmp(Cmp::Ge, start, end), f.sub(next, one));
        let within = f.cmp(Cmp::Le, ahead, last);
        let causal = Coverage {
            all: Bit::Val(within),
            none: Bit::Val(behind),
        };
        let (query, key) = (
            Bounds { low, high },
            Bounds {
                low: start,
                high: ahead,
            },
        );
        let known = self.predicate(f, &args, query, key);
        let coverage = known.map_or(causal, |known| causal.and(f, known));
        let (all, none) = (coverage.all.val(f), coverage.none.val(f));
        let some = f.not(none);
        f.if_then(some, |f| {
            let list = [&args.list()[..], &[k, v, keys, all, careful]].concat();
            f.call(&self.page, &list, None);
        });
    }

    /// What is known of the predicate, when there is one, for the queries of a tile and some keys.
    fn predicate(&self, f: &mut Func, args: &Args, query: Bounds, key: Bounds) -> Option<Coverage> {
        let predicate = self.attend.spec.predicate.as_ref()?;
        let ratio = self.attend.ratio() as i64;
        let (ratio, last) = (f.i64(ratio), f.i64(ratio - 1));
        let first = f.mul(args.group, ratio);
        let tile = PairTile {
            tables: self.tables,
            query,
            key,
            group: args.group,
            head: Bounds {
                low: first,
                high: f.add(first, last),
            },
            streams: self.streams_of_tile(f, args.at),
        };
        Some(tile.coverage(f, predicate))
    }

    /// Sums divided by the sum of weights, into the rows of the result.
    fn finish(&self, f: &mut Func, block: Block) {
        let (attend, lanes, zero) = (self.attend, self.attend.lanes, f.i64(0));
        let total = float_at(f, self.mine, self.scratch.total);
        let sums = float_at(f, self.mine, self.scratch.sums);
        f.for_each(zero, block.rows, 1, |f, r| {
            let (token, head) = self.row(f, block, r);
            let to = f.mul(token, self.out.1);
            let to = f.gep(self.out.0, to, Scalar::F32);
            let to = row_at(f, to, head, attend.result_width());
            if let Some(best) = attend.best() {
                let row = best.row(f, sums, r);
                return best.write(f, row, to);
            }
            let from = row_at(f, sums, r, attend.value_width());
            let p = row_at(f, total, r, lanes as usize);
            let total = f.load(p, Ty::V(lanes, Scalar::F32));
            let total = f.reduce_add(total);
            if attend.spec.log_sum {
                let largest = float_at(f, self.mine, self.scratch.largest);
                let p = f.gep(largest, r, Scalar::F32);
                let largest = f.load(p, Ty::F32);
                log_sum(attend, f, (largest, total), to);
            }
            let factor = inverse(attend, f, total);
            vectors(f, lanes, attend.value_dim, |f, start, mask| {
                let p = float_at(f, from, start);
                let x = load(f, p, lanes, None);
                let x = factor.map_or(x, |factor| f.mul(x, factor));
                let p = float_at(f, to, start);
                store(f, x, p, mask);
            });
        });
    }
}
