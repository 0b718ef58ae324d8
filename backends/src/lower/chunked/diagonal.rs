//! Scores where decays differ from key to key. A block is made of sub-blocks of as many tokens as lanes. Within a sub-block keys decay
//! from token to token, and each token multiplies those before it. To the keys of earlier sub-blocks, which have decayed up to the start of the
//! sub-block, its queries and probes are multiplied as matrices, decayed from there. All factors are products of decays.

use super::{
    Block,
    matrix::{Matrix, Product, RowPair},
    sizes::{CORRECTED, Group},
};
use crate::kernel::{Func, Scalar, Ty, Val};
use std::ops::Range;

/// Adds the products at an entry and the lanes behind it to some sums.
type SumStep<'s> = &'s dyn Fn(&mut Func, Val, &[Val]) -> Vec<Val>;

/// Rows of the token at hand: its decay, its query, its probes.
struct TokenRows {
    decay: Val,
    query: Val,
    probes: Vec<Val>,
}

/// The place of a score: a row of a matrix, and the column of a key.
struct Place {
    to: Matrix,
    row: Val,
    column: Val,
}

impl Block<'_, '_> {
    /// Writes `K`, `Q` and `D o Q K^T`, in a delta rule `R` and `D o R K^T` too, `d o Q`, `d o R` and `d[last]`, and the keys decayed to the
    /// end of the block.
    pub(super) fn diagonal_scores(&self, f: &mut Func) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        self.rows(f);
        self.materialize_product(f, &self.of.form.decay, self.n_axis(), s.diagonal.decay);
        let zero = f.i64(0);
        self.fill_with_ones(f, s.diagonal.total);
        let lanes = f.i64(sizes.lanes.into());
        f.for_each(zero, self.count, sizes.lanes.into(), |f, first| {
            let end = f.add(first, lanes);
            let end = f.min(end, self.count);
            self.decay_rows(f, first..end);
            for group in sizes.groups() {
                self.times_earlier_keys(f, first, group);
            }
            f.for_each(first, end, 1, |f, t| self.scores_of_token(f, first, t));
            self.decay_keys(f, first);
        });
    }

    /// Calls `body` with the first entry of each vector along `n`.
    fn each_of_n(&self, f: &mut Func, body: impl FnOnce(&mut Func, Val)) {
        let (zero, end) = (f.i64(0), f.i64(self.of.sizes.padded_n as i64));
        f.for_each(zero, end, self.of.sizes.lanes.into(), body);
    }

    /// One row of ones.
    fn fill_with_ones(&self, f: &mut Func, row: Matrix) {
        let one = f.float(self.vector_ty(), 1.0);
        self.each_of_n(f, |f, at| {
            let p = f.gep(row.base, at, Scalar::F32);
            f.store(one, p);
        });
    }

    /// Writes the queries and probes of a sub-block, decayed from its start and from that of the block, and its own decay.
    fn decay_rows(&self, f: &mut Func, tokens: Range<Val>) {
        let s = &self.scratch.diagonal;
        self.fill_with_ones(f, s.running);
        let corrections = self.of.corrections();
        f.for_each(tokens.start, tokens.end, 1, |f, t| {
            let decay = s.decay.row(f, t);
            let query = RowPair::of(f, self.scratch.query, s.query, t);
            let decayed_query = self.scratch.decayed_query.row(f, t);
            let first = self.rows_of(f, t, corrections.len());
            let probes: Vec<(RowPair, Val)> = (0..corrections.len())
                .map(|n| {
                    let n = f.i64(n as i64);
                    let row = f.add(first, n);
                    let probe = RowPair::of(f, self.scratch.probe, s.probe, row);
                    (probe, s.decayed_probe.row(f, row))
                })
                .collect();
            self.each_of_n(f, |f, at| {
                let load = |f: &mut Func, row: Val| {
                    let p = f.gep(row, at, Scalar::F32);
                    f.load(p, self.vector_ty())
                };
                let (before, decay, total) = (load(f, s.running.base), load(f, decay), load(f, s.total.base));
                let running = f.mul(before, decay);
                let p = f.gep(s.running.base, at, Scalar::F32);
                f.store(running, p);
                let scale = |f: &mut Func, row: RowPair, decayed: Val, by: Val| {
                    let (row, decayed) = (row.at(f, at), f.gep(decayed, at, Scalar::F32));
                    let val = f.load(row.from, self.vector_ty());
                    let val = f.mul(val, by);
                    f.store(val, row.to);
                    let val = f.mul(val, total);
                    f.store(val, decayed);
                };
                let by = if self.of.form.reads_previous { before } else { running };
                scale(f, query, decayed_query, by);
                for (correction, (probe, decayed)) in corrections.iter().zip(&probes) {
                    let by = if correction.after == 0 { before } else { running };
                    scale(f, *probe, *decayed, by);
                }
            });
        });
    }

    /// The scores of a sub-block for the keys of a group in earlier ones, in whole tiles; what they write behind these is written later.
    fn times_earlier_keys(&self, f: &mut Func, first: Val, group: Group) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let (tile, zero) = (sizes.sub_block_tile(), f.i64(0));
        let columns = self.rows_of(f, first, sizes.writes[group]);
        let each = sizes.writes[CORRECTED];
        let queries = (1, s.diagonal.query, s.decayed_scores[group]);
        let probes = (each, s.diagonal.probe, s.probe_scores[group]);
        for (each, rows, to) in [queries, probes].into_iter().filter(|(each, _, _)| *each > 0) {
            let (start, count) = (
                self.rows_of(f, first, each),
                f.i64((each * sizes.lanes as usize) as i64),
            );
            let end = f.add(start, count);
            f.for_each(zero, columns, i64::from(tile.panel * tile.lanes), |f, column| {
                f.for_each(start, end, tile.rows.into(), |f, row| {
                    let c = to.rows_from(f, row);
                    let product = Product {
                        a: rows.rows_from(f, row),
                        b: s.key_transposed[group].columns_from(f, column),
                        c: c.columns_from(f, column),
                        depth: f.i64(sizes.n as i64),
                        beta: f.f32(0.0),
                    };
                    product.call(f, tile);
                });
            });
        }
    }

    /// The scores of token `t` for the keys of its own sub-block, which begins at `first`; the keys decay to `t`.
    fn scores_of_token(&self, f: &mut Func, first: Val, t: Val) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let corrections = self.of.corrections();
        let probe = self.rows_of(f, t, corrections.len());
        let probes: Vec<Val> = (0..corrections.len())
            .map(|n| {
                let n = f.i64(n as i64);
                f.add(probe, n)
            })
            .collect();
        let rows = TokenRows {
            decay: s.diagonal.decay.row(f, t),
            query: s.query.row(f, t),
            probes: probes.iter().map(|row| s.probe.row(f, *row)).collect(),
        };
        for group in sizes.groups() {
            let each = sizes.writes[group];
            let (from, own) = (self.rows_of(f, first, each), self.rows_of(f, t, each));
            for (to, row) in self.places(group, t, &probes) {
                let row = to.row(f, row);
                self.clear(f, row, from, sizes.columns(group));
            }
            f.for_each(from, own, 1, |f, key| {
                let row = s.key[group].row(f, key);
                let sums = self.decay_and_multiply(f, row, &rows);
                for ((to, row), sum) in self.places(group, t, &probes).into_iter().zip(sums) {
                    self.store_score(f, &Place { to, row, column: key }, sum);
                }
            });
            for (n, write) in self.of.group(group).iter().enumerate() {
                let n = f.i64(n as i64);
                let key = f.add(own, n);
                let row = s.key[group].row(f, key);
                let seen = corrections.iter().map(|c| write.number < c.after);
                let reads = [!self.of.form.reads_previous].into_iter().chain(seen);
                let with = [rows.query].into_iter().chain(rows.probes.iter().copied());
                for (((to, at), seen), with) in self.places(group, t, &probes).into_iter().zip(reads).zip(with) {
                    if seen {
                        let sum = self.multiply(f, row, with);
                        self.store_score(
                            f,
                            &Place {
                                to,
                                row: at,
                                column: key,
                            },
                            sum,
                        );
                    }
                }
            }
        }
    }

    /// Rows of scores of a token for the keys of a group: of its query, then of its probes.
    fn places(&self, group: Group, t: Val, probes: &[Val]) -> Vec<(Matrix, Val)> {
        let s = self.scratch;
        let of_probes = probes.iter().map(|row| (s.probe_scores[group], *row));
        [(s.decayed_scores[group], t)].into_iter().chain(of_probes).collect()
    }

    fn store_score(&self, f: &mut Func, at: &Place, score: Val) {
        let p = at.to.entry(f, at.row, at.column);
        f.store(score, p);
    }

    /// Sums over `n` of several vectors at once; `step` gets their first entries and adds to the sums, as many for each vector.
    fn sums(&self, f: &mut Func, sums: usize, step: SumStep<'_>) -> Vec<Val> {
        let sizes = &self.of.sizes;
        let (vectors, lanes) = (sizes.sums_of_n(), i64::from(sizes.lanes));
        let init = vec![f.zero(self.vector_ty()); vectors * sums];
        let (zero, end) = (f.i64(0), f.i64(sizes.padded_n as i64));
        let by = f.i64(vectors as i64 * lanes);
        let found = f.for_loop(zero..end, by, &init, |f, at, carried| {
            let each = carried.chunks(sums).enumerate().flat_map(|(v, sums)| {
                let offset = f.i64(v as i64 * lanes);
                let at = f.add(at, offset);
                step(f, at, sums)
            });
            each.collect()
        });
        (0..sums)
            .map(|n| {
                let of_vectors: Vec<Val> = found.iter().copied().skip(n).step_by(sums).collect();
                let sum = of_vectors[1..].iter().fold(of_vectors[0], |sum, x| f.add(sum, *x));
                f.reduce_add(sum)
            })
            .collect()
    }

    /// Decays a key by a token's decay; the sums of its products with the token's query and probes.
    fn decay_and_multiply(&self, f: &mut Func, key: Val, token: &TokenRows) -> Vec<Val> {
        let corrections = self.of.corrections();
        self.sums(f, 1 + corrections.len(), &|f, at, sums| {
            let load = |f: &mut Func, row: Val| {
                let p = f.gep(row, at, Scalar::F32);
                f.load(p, self.vector_ty())
            };
            let (before, decay, query) = (load(f, key), load(f, token.decay), load(f, token.query));
            let decayed = f.mul(before, decay);
            let p = f.gep(key, at, Scalar::F32);
            f.store(decayed, p);
            let read = if self.of.form.reads_previous { before } else { decayed };
            let mut next = vec![f.fma(query, read, sums[0])];
            for ((correction, row), sum) in corrections.iter().zip(&token.probes).zip(&sums[1..]) {
                let probe = load(f, *row);
                let key = if correction.after == 0 { before } else { decayed };
                next.push(f.fma(probe, key, *sum));
            }
            next
        })
    }

    /// The sum of the products of two rows.
    fn multiply(&self, f: &mut Func, key: Val, with: Val) -> Val {
        let found = self.sums(f, 1, &|f, at, sums| {
            let (p, q) = (f.gep(key, at, Scalar::F32), f.gep(with, at, Scalar::F32));
            let (a, b) = (f.load(p, self.vector_ty()), f.load(q, self.vector_ty()));
            vec![f.fma(a, b, sums[0])]
        });
        found[0]
    }

    /// Decays the keys of earlier sub-blocks to the end of the one that begins at `first`, and transposes its own keys beside them.
    fn decay_keys(&self, f: &mut Func, first: Val) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let (zero, n) = (f.i64(0), f.i64(sizes.n as i64));
        let lanes = sizes.lanes;
        for group in sizes.groups() {
            let each = sizes.writes[group];
            let before = self.rows_of(f, first, each);
            f.for_each(zero, n, 1, |f, row| {
                let p = f.gep(s.diagonal.running.base, row, Scalar::F32);
                let decay = f.load(p, Ty::F32);
                let decay = f.splat(decay, lanes);
                let keys = s.key_transposed[group].row(f, row);
                f.for_each(zero, before, lanes.into(), |f, at| {
                    let p = f.gep(keys, at, Scalar::F32);
                    let key = f.load(p, self.vector_ty());
                    let key = f.mul(key, decay);
                    f.store(key, p);
                });
            });
            let own = f.i64((each * lanes as usize) as i64);
            let end = f.add(before, own);
            self.transpose_some_keys(f, group, before..end);
        }
        self.each_of_n(f, |f, at| {
            let (p, q) = (
                f.gep(s.diagonal.running.base, at, Scalar::F32),
                f.gep(s.diagonal.total.base, at, Scalar::F32),
            );
            let (running, total) = (f.load(p, self.vector_ty()), f.load(q, self.vector_ty()));
            let total = f.mul(total, running);
            f.store(total, q);
        });
    }
}
