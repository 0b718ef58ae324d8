//! The triangular system for the corrected values of a delta rule (WY form), solved by blocked forward substitution.

use super::{
    Block,
    matrix::{Matrix, Product, vector_of_row},
    sizes::{CORRECTED, PLAIN},
};
use crate::kernel::{Func, Scalar, Ty, Val};

impl Block<'_, '_> {
    /// Solves `U = V + g d o (R S) + (g D o R K^T) U` in the place of `V`, where `K` and `U` are those of all groups: products with the rows of
    /// the tiles before, then substitution within a tile.
    pub(super) fn correct_values(&self, f: &mut Func, state: Matrix) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let probes = sizes.writes[CORRECTED];
        let count = self.rows_of(f, self.count, probes);
        sizes.each_panel(f, &|f, column, vectors| {
            let [u, state] = [s.value[CORRECTED], state].map(|m| m.columns_from(f, column));
            let (zero, tile) = (f.i64(0), sizes.tile(vectors));
            f.for_each(zero, count, i64::from(tile.rows), |f, row| {
                let (n, one) = (f.i64(sizes.n as i64), f.f32(1.0));
                let c = u.rows_from(f, row);
                let of_state = Product {
                    a: s.decayed_probe.rows_from(f, row),
                    b: state,
                    c,
                    depth: n,
                    beta: one,
                };
                of_state.call(f, tile);
                if sizes.writes[PLAIN] > 0 {
                    let tokens = self.end_of_rows(f, row, probes);
                    let of_others = Product {
                        a: s.system[PLAIN].rows_from(f, row),
                        b: s.value[PLAIN].columns_from(f, column),
                        c,
                        depth: self.rows_of(f, tokens, sizes.writes[PLAIN]),
                        beta: one,
                    };
                    of_others.call(f, tile);
                }
                let of_tokens = Product {
                    a: s.system[CORRECTED].rows_from(f, row),
                    b: u,
                    c,
                    depth: row,
                    beta: one,
                };
                of_tokens.call(f, tile);
                self.substitute(f, row, column, vectors);
            });
        });
    }

    /// The rows of a tile from row `first` on and `vectors` vectors from `column` on, each row from those before it in the tile.
    fn substitute(&self, f: &mut Func, first: Val, column: Val, vectors: u32) {
        let (s, lanes) = (self.scratch, self.of.sizes.lanes);
        let mut solved: Vec<Vec<Val>> = Vec::new();
        for i in 0..self.of.sizes.tile_rows {
            let i = f.i64(i.into());
            let t = f.add(first, i);
            let (row, own) = (s.system[CORRECTED].row(f, t), s.value[CORRECTED].row(f, t));
            let own = f.gep(own, column, Scalar::F32);
            let places: Vec<Val> = (0..vectors as usize).map(|v| vector_of_row(f, own, v, lanes)).collect();
            let mut sums: Vec<Val> = places.iter().map(|p| f.load(*p, self.vector_ty())).collect();
            for (j, before) in solved.iter().enumerate() {
                let j = f.i64(j as i64);
                let at = f.add(first, j);
                let p = f.gep(row, at, Scalar::F32);
                let x = f.load(p, Ty::F32);
                let x = f.splat(x, lanes);
                sums = sums.iter().zip(before).map(|(sum, u)| f.fma(x, *u, *sum)).collect();
            }
            for (p, sum) in places.iter().zip(&sums) {
                f.store(*sum, *p);
            }
            solved.push(sums);
        }
    }
}
