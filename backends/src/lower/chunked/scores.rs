//! Keys, queries and their products: what heads that share them compute once.

use super::{
    Block,
    matrix::{Matrix, Product},
    sizes::{CORRECTED, Group},
};
use crate::{
    kernel::{Func, Val},
    kernels,
};
use std::ops::Range;

impl Block<'_, '_> {
    /// Writes `K`, `Q` and `Q K^T`, in a delta rule `R` and `R K^T` too.
    pub(super) fn scores(&self, f: &mut Func) {
        let s = self.scratch;
        self.rows(f);
        for group in self.of.sizes.groups() {
            self.transpose_keys(f, group);
            self.times_keys(f, group, self.of.sizes.queries, [s.query, s.scores[group]]);
            let probes = self.of.sizes.writes[CORRECTED];
            if probes > 0 {
                self.times_keys(f, group, probes, [s.probe, s.probe_scores[group]]);
            }
        }
    }

    /// Writes `K`, `Q` and `R`.
    pub(super) fn rows(&self, f: &mut Func) {
        let (s, n) = (self.scratch, self.n_axis());
        for group in self.of.sizes.groups() {
            let of = self.of.group(group);
            for (i, write) in of.iter().enumerate() {
                let to = s.key[group].every(f, i, of.len());
                self.materialize_product(f, &write.write.key, n, to);
            }
        }
        let queries = &self.of.form.queries;
        for (i, query) in queries.iter().enumerate() {
            let to = s.query.every(f, i, queries.len());
            self.materialize_product(f, &query.factors, n, to);
        }
        let corrections = self.of.corrections();
        for (i, correction) in corrections.iter().enumerate() {
            let to = s.probe.every(f, i, corrections.len());
            self.materialize_product(f, &correction.probe, n, to);
        }
    }

    /// The products of rows, `each` for a token, with the keys of a group up to their token's: the lower triangle of a matrix times
    /// `K^T`, in whole tiles.
    fn times_keys(&self, f: &mut Func, group: Group, each: usize, [rows, to]: [Matrix; 2]) {
        let sizes = &self.of.sizes;
        let tile = sizes.tile(sizes.score_vectors());
        let (zero, keys) = (f.i64(0), self.scratch.key_transposed[group]);
        let count = self.rows_of(f, self.count, each);
        f.for_each(zero, count, i64::from(tile.rows), |f, row| {
            let tokens = self.end_of_rows(f, row, each);
            let end = self.rows_of(f, tokens, sizes.writes[group]);
            let (a, c) = (rows.rows_from(f, row), to.rows_from(f, row));
            f.for_each(zero, end, i64::from(tile.panel * tile.lanes), |f, column| {
                let product = Product {
                    depth: f.i64(sizes.n as i64),
                    beta: f.f32(0.0),
                    a,
                    b: keys.columns_from(f, column),
                    c: c.columns_from(f, column),
                };
                product.call(f, tile);
            });
        });
    }

    /// Rows of some tokens that have `each` of them.
    pub(super) fn rows_of(&self, f: &mut Func, tokens: Val, each: usize) -> Val {
        let each = f.i64(each as i64);
        f.mul(tokens, each)
    }

    /// Row `n` of those of token `t`, where tokens have `each` rows.
    pub(super) fn row_of(&self, f: &mut Func, t: Val, each: usize, n: usize) -> Val {
        let (first, n) = (self.rows_of(f, t, each), f.i64(n as i64));
        f.add(first, n)
    }

    /// The token behind the last one of the tile that begins at some row, where tokens have `each` rows; at most that behind the block.
    pub(super) fn end_of_rows(&self, f: &mut Func, row: Val, each: usize) -> Val {
        let step = f.i64(i64::from(self.of.sizes.tile_rows) + each as i64 - 1);
        let (end, each) = (f.add(row, step), f.i64(each as i64));
        let end = f.udiv(end, each);
        f.min(end, self.count)
    }

    /// Writes `K^T`, a square of as many rows as lanes at a time.
    fn transpose_keys(&self, f: &mut Func, group: Group) {
        let zero = f.i64(0);
        let count = self.rows_of(f, self.count, self.of.sizes.writes[group]);
        self.transpose_some_keys(f, group, zero..count);
    }

    /// Writes the columns of `K^T` for some keys, from the first of a square on.
    pub(super) fn transpose_some_keys(&self, f: &mut Func, group: Group, keys: Range<Val>) {
        let (from, to) = (self.scratch.key[group], self.scratch.key_transposed[group]);
        let lanes = i64::from(self.of.sizes.lanes);
        let (zero, n) = (f.i64(0), f.i64(self.of.sizes.n as i64));
        f.for_each(keys.start, keys.end, lanes, |f, key| {
            f.for_each(zero, n, lanes, |f, column| {
                let (from, to) = (from.rows_from(f, key), to.rows_from(f, column));
                let (from, to) = (from.columns_from(f, column), to.columns_from(f, key));
                self.transpose_square(f, from, to);
            });
        });
    }

    /// Writes the transpose of the first rows and columns of a matrix, as many as lanes.
    pub(super) fn transpose_square(&self, f: &mut Func, from: Matrix, to: Matrix) {
        let lanes = i64::from(self.of.sizes.lanes);
        let rows: Vec<Val> = (0..lanes)
            .map(|i| {
                let i = f.i64(i);
                let p = from.row(f, i);
                f.load(p, self.vector_ty())
            })
            .collect();
        for (i, val) in kernels::transpose(f, &rows).into_iter().enumerate() {
            let i = f.i64(i as i64);
            let p = to.row(f, i);
            f.store(val, p);
        }
    }
}
