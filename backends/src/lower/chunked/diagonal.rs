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

/// What reads the state at a token: a query, or the probe of a correction.
#[derive(Clone, Copy)]
struct Read {
    /// The row of its kind.
    row: Val,
    is_probe: bool,
    /// It sees so many writes of its token; `None`: it reads the state before the token's decay.
    after: Option<usize>,
}

/// Rows of the token at hand: its decay, and what reads the state with each.
struct TokenRows {
    decay: Val,
    reads: Vec<Read>,
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
        f.for_each(tokens.start, tokens.end, 1, |f, t| {
            let decay = s.decay.row(f, t);
            let reads: Vec<(Read, RowPair, Val)> = self
                .reads(f, t)
                .into_iter()
                .map(|read| {
                    let [own, from_start, decayed] = self.rows_of_read(f, read);
                    (
                        read,
                        RowPair {
                            from: own,
                            to: from_start,
                        },
                        decayed,
                    )
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
                for (read, rows, decayed) in &reads {
                    let (row, decayed) = (rows.at(f, at), f.gep(*decayed, at, Scalar::F32));
                    let val = f.load(row.from, self.vector_ty());
                    let val = f.mul(val, if read.after.is_some() { running } else { before });
                    f.store(val, row.to);
                    let val = f.mul(val, total);
                    f.store(val, decayed);
                }
            });
        });
    }

    /// What reads the state at token `t`: its queries, then its probes.
    fn reads(&self, f: &mut Func, t: Val) -> Vec<Read> {
        let all = self.of.form.writes.len();
        let (queries, corrections) = (&self.of.form.queries, self.of.corrections());
        let of_queries = queries.iter().map(|query| (!query.reads_previous).then_some(all));
        let of_probes = corrections.iter().map(|c| (c.after > 0).then_some(c.after));
        let mut reads = Vec::new();
        for (n, after) in of_queries.enumerate() {
            let row = self.row_of(f, t, queries.len(), n);
            reads.push(Read {
                row,
                is_probe: false,
                after,
            });
        }
        for (n, after) in of_probes.enumerate() {
            let row = self.row_of(f, t, corrections.len(), n);
            reads.push(Read {
                row,
                is_probe: true,
                after,
            });
        }
        reads
    }

    /// The row that the state is read with: as it is, decayed from the start of its sub-block, and from that of the block.
    fn rows_of_read(&self, f: &mut Func, read: Read) -> [Val; 3] {
        let (s, d) = (self.scratch, &self.scratch.diagonal);
        let matrices = match read.is_probe {
            false => [s.query, d.query, s.decayed_query],
            true => [s.probe, d.probe, d.decayed_probe],
        };
        matrices.map(|matrix| matrix.row(f, read.row))
    }

    /// The scores of a sub-block for the keys of a group in earlier ones, in whole tiles; what they write behind these is written later.
    fn times_earlier_keys(&self, f: &mut Func, first: Val, group: Group) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let (tile, zero) = (sizes.sub_block_tile(), f.i64(0));
        let columns = self.rows_of(f, first, sizes.writes[group]);
        let each = sizes.writes[CORRECTED];
        let queries = (sizes.queries, s.diagonal.query, s.decayed_scores[group]);
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
        let token = TokenRows {
            decay: s.diagonal.decay.row(f, t),
            reads: self.reads(f, t),
        };
        for group in sizes.groups() {
            let each = sizes.writes[group];
            let (from, own) = (self.rows_of(f, first, each), self.rows_of(f, t, each));
            for read in &token.reads {
                let row = self.scores_of(group, *read).row(f, read.row);
                self.clear(f, row, from, sizes.columns(group));
            }
            f.for_each(from, own, 1, |f, key| {
                let row = s.key[group].row(f, key);
                let sums = self.decay_and_multiply(f, row, &token);
                for (read, sum) in token.reads.iter().zip(sums) {
                    self.store_score(f, self.scores_of(group, *read), read.row, key, sum);
                }
            });
            for (n, write) in self.of.group(group).iter().enumerate() {
                let n = f.i64(n as i64);
                let key = f.add(own, n);
                let row = s.key[group].row(f, key);
                for read in &token.reads {
                    if read.after.is_some_and(|after| write.number < after) {
                        let [with, ..] = self.rows_of_read(f, *read);
                        let sum = self.multiply(f, row, with);
                        self.store_score(f, self.scores_of(group, *read), read.row, key, sum);
                    }
                }
            }
        }
    }

    /// The scores of a kind of reads for the keys of a group.
    fn scores_of(&self, group: Group, read: Read) -> Matrix {
        let s = self.scratch;
        if read.is_probe {
            s.probe_scores[group]
        } else {
            s.decayed_scores[group]
        }
    }

    fn store_score(&self, f: &mut Func, to: Matrix, row: Val, key: Val, score: Val) {
        let p = to.entry(f, row, key);
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

    /// Decays a key by a token's decay; the sums of its products with the rows that read the state.
    fn decay_and_multiply(&self, f: &mut Func, key: Val, token: &TokenRows) -> Vec<Val> {
        let rows: Vec<Val> = token.reads.iter().map(|read| self.rows_of_read(f, *read)[0]).collect();
        self.sums(f, rows.len(), &|f, at, sums| {
            let load = |f: &mut Func, row: Val| {
                let p = f.gep(row, at, Scalar::F32);
                f.load(p, self.vector_ty())
            };
            let (before, decay) = (load(f, key), load(f, token.decay));
            let decayed = f.mul(before, decay);
            let p = f.gep(key, at, Scalar::F32);
            f.store(decayed, p);
            let mut next = Vec::new();
            for ((read, row), sum) in token.reads.iter().zip(&rows).zip(sums) {
                let with = load(f, *row);
                let key = if read.after.is_some() { decayed } else { before };
                next.push(f.fma(with, key, *sum));
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
