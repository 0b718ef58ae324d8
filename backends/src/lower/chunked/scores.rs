//! Keys, queries and their products: what heads that share them compute once.

use super::{
    Block,
    matrix::{Matrix, Product},
};
use crate::{
    kernel::{Func, Val},
    kernels,
};

impl Block<'_, '_> {
    /// Writes `K`, `Q` and `Q K^T`, in a delta rule `R` and `R K^T` too.
    pub(super) fn scores(&self, f: &mut Func) {
        let (s, form) = (self.scratch, self.of.form);
        let n = self.n_axis();
        self.materialize(f, &form.key, n, s.key);
        self.materialize(f, &form.query, n, s.query);
        self.transpose_keys(f);
        self.times_keys(f, s.query, s.scores);
        if let Some(correction) = &form.correction {
            self.materialize(f, &correction.probe, n, s.probe);
            self.times_keys(f, s.probe, s.probe_scores);
        }
    }

    /// The products of rows with the keys of tokens up to theirs: the lower triangle of a matrix times `K^T`, in whole tiles.
    fn times_keys(&self, f: &mut Func, rows: Matrix, to: Matrix) {
        let sizes = &self.of.sizes;
        let tile = sizes.tile(sizes.score_vectors());
        let (zero, keys) = (f.i64(0), self.scratch.key_transposed);
        f.for_each(zero, self.count, i64::from(tile.rows), |f, t| {
            let end = self.end_of_tile(f, t);
            let (a, c) = (rows.rows_from(f, t), to.rows_from(f, t));
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

    /// The token behind the tile that begins at token `t`, at most that behind the block.
    pub(super) fn end_of_tile(&self, f: &mut Func, t: Val) -> Val {
        let step = f.i64(i64::from(self.of.sizes.tile_rows));
        let end = f.add(t, step);
        f.min(end, self.count)
    }

    /// Writes `K^T`, a square of as many rows as lanes at a time.
    fn transpose_keys(&self, f: &mut Func) {
        let s = self.scratch;
        let lanes = i64::from(self.of.sizes.lanes);
        let (zero, n) = (f.i64(0), f.i64(self.of.sizes.n as i64));
        f.for_each(zero, self.count, lanes, |f, t| {
            f.for_each(zero, n, lanes, |f, column| {
                let at = |f: &mut Func, m: Matrix, row: Val, i: i64, column: Val| {
                    let i = f.i64(i);
                    let row = f.add(row, i);
                    m.entry(f, row, column)
                };
                let rows: Vec<Val> = (0..lanes)
                    .map(|i| {
                        let p = at(f, s.key, t, i, column);
                        f.load(p, self.vector_ty())
                    })
                    .collect();
                for (i, val) in kernels::transpose(f, &rows).into_iter().enumerate() {
                    let p = at(f, s.key_transposed, column, i as i64, t);
                    f.store(val, p);
                }
            });
        });
    }
}
