//! Results of a block, whether they are finite, the state after it, and the outputs that are made of the results.

use super::{
    Block,
    matrix::{Matrix, Product, RowPair},
};
use crate::{
    kernel::{Func, Scalar, Ty, Val},
    kernels::finite::{all_finite, note},
    lower::expr::ExprLowering,
};

impl Block<'_, '_> {
    /// `Y = (D o Q K^T) V + (d o Q) S`, with a row for each read of each token.
    pub(super) fn results(&self, f: &mut Func, state: Matrix) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        sizes.each_panel(f, &|f, column, vectors| {
            let [y, state] = [s.result, state].map(|m| m.columns_from(f, column));
            let (zero, tile) = (f.i64(0), sizes.tile(vectors));
            let count = self.rows_of(f, self.count, sizes.queries);
            f.for_each(zero, count, i64::from(tile.rows), |f, row| {
                let end = self.end_of_rows(f, row, sizes.queries);
                let c = y.rows_from(f, row);
                let mut beta = f.f32(0.0);
                for group in sizes.groups() {
                    let within_block = Product {
                        a: s.decayed_scores[group].rows_from(f, row),
                        b: s.value[group].columns_from(f, column),
                        c,
                        depth: self.rows_of(f, end, sizes.writes[group]),
                        beta,
                    };
                    within_block.call(f, tile);
                    beta = f.f32(1.0);
                }
                let of_state = Product {
                    a: s.decayed_query.rows_from(f, row),
                    b: state,
                    c,
                    depth: f.i64(sizes.n as i64),
                    beta,
                };
                of_state.call(f, tile);
            });
        });
    }

    /// True unless a result is infinite or no number.
    pub(super) fn is_finite(&self, f: &mut Func) -> Val {
        let (p, lanes) = (self.of.sizes.p, self.of.sizes.lanes as usize);
        let (whole, bits) = (p / lanes * lanes, self.vector_ty().with(Scalar::I32));
        let (zero, none) = (f.i64(0), f.zero(bits));
        let (one, step, end) = (f.i64(1), f.i64(lanes as i64), f.i64(whole as i64));
        let count = self.rows_of(f, self.count, self.of.sizes.queries);
        let found = f.for_loop(zero..count, one, &[none], |f, row, found| {
            let row = self.scratch.result.row(f, row);
            let found = f.for_loop(zero..end, step, found, |f, at, found| {
                let p = f.gep(row, at, Scalar::F32);
                let x = f.load(p, self.vector_ty());
                vec![note(f, x, found[0])]
            });
            if whole == p {
                return found;
            }
            let rest = f.i64((p - whole) as i64);
            let mask = f.tail_mask(rest, self.of.sizes.lanes);
            let p = f.gep(row, end, Scalar::F32);
            let x = f.masked_load(p, mask, self.vector_ty());
            vec![note(f, x, found[0])]
        });
        all_finite(f, found[0])
    }

    /// `S' = d[last] S + K^T (D[last] o V)`, in the place of `S`; `block_decay` is `d[last]`, unless it is diagonal.
    pub(super) fn next_state(&self, f: &mut Func, state: Matrix, block_decay: Option<Val>) {
        match block_decay {
            Some(_) => self.decay_values(f),
            None => self.decay_state(f, state),
        }
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let rest = sizes.rest_of_n();
        sizes.each_panel(f, &|f, column, vectors| {
            let state = state.columns_from(f, column);
            let rows = |f: &mut Func, n: Val, rows: u32| {
                let mut beta = block_decay.unwrap_or_else(|| f.f32(1.0));
                for group in sizes.groups() {
                    let (a, b) = match sizes.diagonal {
                        true => (s.key_transposed[group].rows_from(f, n), s.value[group]),
                        false => (s.key[group].columns_from(f, n), s.decayed_value[group]),
                    };
                    let product = Product {
                        a,
                        b: b.columns_from(f, column),
                        c: state.rows_from(f, n),
                        depth: self.rows_of(f, self.count, sizes.writes[group]),
                        beta,
                    };
                    product.call(f, sizes.state_tile(rows, vectors));
                    beta = f.f32(1.0);
                }
            };
            let (zero, whole) = (f.i64(0), f.i64((sizes.n as u32 - rest).into()));
            f.for_each(zero, whole, i64::from(sizes.tile_rows), |f, n| {
                rows(f, n, sizes.tile_rows)
            });
            if rest > 0 {
                rows(f, whole, rest);
            }
        });
    }

    /// `D[last] o V`
    fn decay_values(&self, f: &mut Func) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let zero = f.i64(0);
        for group in sizes.groups() {
            let count = self.rows_of(f, self.count, sizes.writes[group]);
            f.for_each(zero, count, 1, |f, row| {
                let p = f.gep(s.last_decays[group].base, row, Scalar::F32);
                let decay = f.load(p, Ty::F32);
                let value = RowPair::of(f, s.value[group], s.decayed_value[group], row);
                value.scale(f, decay, sizes.padded_p, sizes.lanes);
            });
        }
    }

    /// `d[last] S`, where that is diagonal.
    fn decay_state(&self, f: &mut Func, state: Matrix) {
        let sizes = &self.of.sizes;
        let (zero, n) = (f.i64(0), f.i64(sizes.n as i64));
        f.for_each(zero, n, 1, |f, row| {
            let p = f.gep(self.scratch.diagonal.total.base, row, Scalar::F32);
            let decay = f.load(p, Ty::F32);
            RowPair::of(f, state, state, row).scale(f, decay, sizes.padded_p, sizes.lanes);
        });
    }

    /// Stores the values that are made of the results.
    pub(super) fn store_outputs(&self, f: &mut Func) {
        let (scan, depth) = (self.of.scan, self.p_axis() + 1);
        self.each_vector(f, self.p_axis(), &|exprs, f, t, at| {
            exprs.space.truncate(depth);
            let coords = ExprLowering::identity(depth);
            let queries = &self.of.form.queries;
            for (n, query) in queries.iter().enumerate() {
                let row = self.row_of(f, t, queries.len(), n);
                let p = self.scratch.result.entry(f, row, at);
                let sum = f.load(p, self.vector_ty());
                exprs.set(query.sum, coords.clone(), sum);
            }
            for nest in &scan.outputs {
                let val = exprs.value(f, nest.value, &coords);
                exprs.write(f, nest, &coords, val);
            }
        });
    }
}
