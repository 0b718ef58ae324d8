//! Weights that queries gave: memories of entries that they update, and sums over some queries.

use super::{
    super::{
        layout::{PAGE, Scratch, float_at, row_at},
        page_kernel,
        table::Tables,
        tile_args::TileArgs,
    },
    Governed,
    entries::{Lanes, Numbers},
    run::RowBlock,
};
use crate::kernel::{Func, Module, Scalar, Ty, Val};

impl Governed<'_> {
    /// Adds `fn SIGHT_weights(arguments of SIGHT_sum…, page)`: adds a block's weights of a page's entries to the weights in scratch,
    /// `[tokens of the block][PAGE]`. The largest scores of the rows are final.
    pub(super) fn add_weights(&self, module: &mut Module, sight: &super::Attend, tables: &Tables) {
        let (mut function, block, blocks) = self.block_function(sight, tables, "weights", &[Ty::I64]);
        let (f, args) = (&mut function.f, function.args);
        let page = function.more[0];
        let scratch = Scratch::new(sight);
        let (zero, tile, lanes) = (f.i64(0), f.i64(sight.tile_rows() as i64), i64::from(sight.lanes()));
        let keys = blocks.keys_of_page(f, block.group, page);
        let queries = float_at(f, args.scratch, scratch.queries);
        let scores = float_at(f, args.scratch, scratch.scores);
        let factors = float_at(f, args.scratch, scratch.shrink);
        let weights = float_at(f, args.scratch, self.extra().weights);
        let inverses = float_at(f, args.scratch, self.extra().inverse);
        let ratio = f.i64(sight.ratio() as i64);
        f.for_each(zero, block.rows, sight.tile_rows() as i64, |f, at| {
            let left = f.sub(block.rows, at);
            let tile_args = TileArgs {
                scratch: args.scratch,
                table: blocks.table,
                at,
                rows: f.min(left, tile),
                first: f.add(block.first, at),
                group: block.group,
                page,
                position: blocks.chunk.position,
                count: blocks.chunk.count,
            };
            let rows = row_at(f, queries, at, sight.key_dim);
            let e = f.i64(sight.key_dim as i64);
            let list = [rows, keys, scores, e, factors, tile_args.rows, keys];
            f.call(&page_kernel::products_name(sight), &list, None);
            f.call(&format!("{}_score_pairs", sight.name), &tile_args.list(), None);
            f.for_each(zero, tile_args.rows, 1, |f, r| {
                let row = f.add(at, r);
                let p = f.gep(inverses, row, Scalar::F32);
                let inverse = f.load(p, Ty::F32);
                let inverse = f.splat(inverse, sight.lanes());
                let token = f.udiv(row, ratio);
                let (from, to) = (row_at(f, scores, r, PAGE), row_at(f, weights, token, PAGE));
                let end = f.i64(PAGE as i64);
                f.for_each(zero, end, lanes, |f, n| {
                    let (from, to) = (f.gep(from, n, Scalar::F32), f.gep(to, n, Scalar::F32));
                    let (weight, sum) = (f.load(from, self.vector()), f.load(to, self.vector()));
                    let sum = f.fma(weight, inverse, sum);
                    f.store(sum, to);
                });
            });
        });
        module.add(function.f);
    }

    /// For each page that a block sees: the weights of its entries, token by token, then `body`.
    pub(super) fn each_page_of_weights(
        &self,
        f: &mut Func,
        sights: &[&super::Attend],
        at: RowBlock,
        count: Val,
        body: impl FnOnce(&mut Func, Val),
    ) {
        let args = &at.rows.args;
        let ratio = f.i64(self.attend.ratio() as i64);
        let tokens = f.udiv(at.block.rows, ratio);
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        let pages = f.ceil_div(count, size);
        f.for_each(zero, pages, 1, |f, page| {
            let weights = float_at(f, args.scratch, self.extra().weights);
            let floats = f.mul(tokens, size);
            let none = f.zero(self.vector());
            f.for_each(zero, floats, i64::from(self.attend.lanes()), |f, n| {
                let p = f.gep(weights, n, Scalar::F32);
                f.store(none, p);
            });
            for sight in sights {
                if sights.len() > 1 {
                    self.call_block(f, sight, "queries", at, &[]);
                }
                self.call_block(f, sight, "weights", at, &[page]);
            }
            body(f, page);
        });
    }

    /// Updates the memories of the entries that a block sees, token by token.
    pub(super) fn update_memories(&self, f: &mut Func, at: RowBlock) {
        let RowBlock { rows, block } = at;
        let args = &rows.args;
        if self.policy.memories.is_empty() {
            return;
        }
        let ratio = f.i64(self.attend.ratio() as i64);
        let (first, tokens) = (f.udiv(block.first, ratio), f.udiv(block.rows, ratio));
        let end = f.add(first, tokens);
        let count = f.add(rows.chunk.position, end);
        self.inverses(f, args, block);
        self.each_page_of_weights(f, &self.plain_sights(), at, count, |f, page| {
            let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
            f.for_each(zero, tokens, 1, |f, token| {
                let row = f.add(first, token);
                let last = f.add(rows.chunk.position, row);
                let numbers = Numbers::load(self, f, args, row, block.group, last);
                let weights = float_at(f, args.scratch, self.extra().weights);
                let weights = row_at(f, weights, token, PAGE);
                f.for_each(zero, size, i64::from(self.attend.lanes()), |f, start| {
                    let p = f.gep(weights, start, Scalar::F32);
                    let weight = f.load(p, self.vector());
                    self.update(f, &numbers, Lanes { page, start }, weight);
                });
            });
        });
    }

    /// The memories of a vector of entries after a token, of those that are not after it.
    fn update(&self, f: &mut Func, numbers: &Numbers, at: Lanes, weight: Val) {
        let args = &numbers.args;
        let pairs = self.pairs(f, numbers, at, Some(weight));
        let seen = pairs.not_behind(f, numbers.last);
        let next: Vec<Val> = self
            .policy
            .memories
            .iter()
            .map(|m| pairs.real(f, &self.of_entry(&m.next)))
            .collect();
        for (n, next) in next.into_iter().enumerate() {
            let p = self.vector_of(f, args, self.first_memory() + n, numbers.group, at);
            let old = f.load(p, self.vector());
            let next = f.select(seen, next, old);
            f.store(next, p);
        }
    }
}
