//! Sizes of a chunked recurrence, the register tiles that it calls, and the matrices in a thread's scratch.

use super::matrix::Matrix;
use crate::{
    kernel::{Func, Val},
    kernels::Tile,
    lower::{address::byte, cx::Layer},
};
use seqc_passes::plan::{Chunked, Scan};

/// Sizes of one recurrence, whose state is a matrix `S[n, p]` for each head.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) lanes: u32,
    /// Rows of a register tile.
    pub(super) tile_rows: u32,
    /// Vectors of a row of a register tile.
    tile_vectors: u32,
    /// Steps along the summed axis in one iteration of a register tile.
    unroll: u32,
    pub(super) heads: usize,
    /// Columns of the state: entries of a value.
    pub(super) p: usize,
    /// Rows of the state: entries of a key.
    pub(super) n: usize,
    /// `p`, rounded up to whole vectors.
    pub(super) padded_p: usize,
    /// `n`, rounded up to whole vectors.
    pub(super) padded_n: usize,
    /// Tokens of a block, whole vectors.
    pub(super) block: usize,
    /// Rows of the matrices with a row for each token; others have as many for each read, write or correction: the block, rounded up to whole tiles.
    rows: usize,
    /// Reads of the state by results of a token.
    pub(super) queries: usize,
    /// Writes of a token, by [`Group`].
    pub(super) writes: [usize; 2],
    /// The decay differs from key to key.
    pub(super) diagonal: bool,
    /// The state's rows lie along `n`: a head is transposed in scratch.
    pub(super) transposed: bool,
}

/// The writes of a token that are treated alike. Matrices have their rows, or columns, by token and then in order.
pub(super) type Group = usize;

/// Writes whose values are corrected by what the state holds, as in a delta rule.
pub(super) const CORRECTED: Group = 0;

/// All others.
pub(super) const PLAIN: Group = 1;

impl Sizes {
    pub(super) fn new(layer: &Layer<'_>, scan: &Scan, form: &Chunked) -> Sizes {
        let state = layer.graph.states[scan.states[0].0 as usize].ty.sizes();
        let (p, n) = (state[scan.kept[scan.kept.len() - 1]], state[scan.reduced[0]]);
        let lanes = layer.lanes() as usize;
        let tile_rows = layer.machine().tallest_tile();
        let innermost = layer.plan.state_axes[scan.states[0].0 as usize].last();
        let corrected = form.corrected();
        Sizes {
            lanes: layer.lanes(),
            tile_rows,
            tile_vectors: layer.machine().tiles.vectors,
            unroll: layer.machine().tiles.unroll,
            heads: state.iter().product::<usize>() / (p * n),
            p,
            n,
            padded_p: p.next_multiple_of(lanes),
            padded_n: n.next_multiple_of(lanes),
            block: form.block,
            rows: form.block.next_multiple_of(tile_rows as usize),
            queries: form.queries.len(),
            writes: [corrected, form.writes.len() - corrected],
            diagonal: form.diagonal,
            transposed: innermost != scan.kept.last(),
        }
    }

    /// Whether the state's rows are values of whole vectors; else a head is copied to scratch, where they are.
    pub(super) fn in_place(&self) -> bool {
        self.p == self.padded_p && !self.transposed
    }

    /// The groups that have writes.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        let writes = self.writes;
        [CORRECTED, PLAIN].into_iter().filter(move |g| writes[*g] > 0)
    }

    /// Columns of a matrix with a column for each write of a group.
    pub(super) fn columns(&self, group: Group) -> usize {
        self.writes[group] * self.block
    }

    /// Vectors of a row of `n` that sums go over at once, so that none waits for another.
    pub(super) fn sums_of_n(&self) -> usize {
        let (vectors, most) = (
            self.padded_n / self.lanes as usize,
            if self.queries + self.writes[CORRECTED] > 2 {
                2
            } else {
                4
            },
        );
        (1..=most).rev().find(|n| vectors.is_multiple_of(*n)).unwrap_or(1)
    }

    /// Vectors of the rows of the tiles that `Q K^T` is computed by: the block is whole tiles of them.
    pub(super) fn score_vectors(&self) -> u32 {
        let vectors = self.block as u32 / self.lanes;
        let divides = |tile: &u32| vectors.is_multiple_of(*tile);
        (1..=self.tile_vectors).rev().find(divides).unwrap_or(1)
    }

    /// Rows of the state that are left after whole tiles.
    pub(super) fn rest_of_n(&self) -> u32 {
        self.n as u32 % self.tile_rows
    }

    /// The tile of `A B` that has all rows of a register tile.
    pub(super) fn tile(&self, vectors: u32) -> Tile {
        Tile {
            lanes: self.lanes,
            rows: self.tile_rows,
            panel: vectors,
            unroll: self.unroll,
            transposed: false,
        }
    }

    /// The tile of the scores of a sub-block, whose tokens are as many as lanes: whole tiles of rows.
    pub(super) fn sub_block_tile(&self) -> Tile {
        let divides = |rows: &u32| self.lanes.is_multiple_of(*rows);
        Tile {
            rows: (1..=self.tile_rows).rev().find(divides).unwrap_or(1),
            ..self.tile(self.score_vectors())
        }
    }

    /// The tile of rows of the next state.
    pub(super) fn state_tile(&self, rows: u32, vectors: u32) -> Tile {
        Tile {
            rows,
            transposed: !self.diagonal,
            ..self.tile(vectors)
        }
    }

    /// All tiles that the recurrence calls.
    pub(super) fn tiles(&self) -> Vec<Tile> {
        let mut all = vec![self.tile(self.score_vectors()), self.sub_block_tile()];
        for vectors in [self.tile_vectors, 1] {
            all.push(self.tile(vectors));
            let rows = [self.tile_rows, self.rest_of_n()].into_iter().filter(|rows| *rows > 0);
            all.extend(rows.map(|rows| self.state_tile(rows, vectors)));
        }
        all
    }

    /// Writes loops over the columns of matrices with a column for each `p`, as panels of whole tiles, then of single
    /// vectors; `body` gets the first column of a panel, and its vectors.
    pub(super) fn each_panel(&self, f: &mut Func, body: &dyn Fn(&mut Func, Val, u32)) {
        let lanes = self.lanes as usize;
        let step = self.tile_vectors as usize * lanes;
        let (zero, whole) = (f.i64(0), f.i64((self.padded_p / step * step) as i64));
        let end = f.i64(self.padded_p as i64);
        f.for_each(zero, whole, step as i64, |f, column| body(f, column, self.tile_vectors));
        if !self.padded_p.is_multiple_of(step) {
            f.for_each(whole, end, lanes as i64, |f, column| body(f, column, 1));
        }
    }

    /// Bytes of scratch that a thread needs.
    pub(super) fn scratch_bytes(&self) -> usize {
        let mut bytes = 0;
        Scratch::allocate(self, |shape| bytes += shape.bytes());
        bytes
    }
}

/// Rows and columns of a matrix in scratch.
struct Shape {
    rows: usize,
    columns: usize,
}

impl Shape {
    fn bytes(&self) -> usize {
        (4 * self.rows * self.columns).next_multiple_of(64)
    }
}

/// The matrices of one block of tokens of one head, in their order in a thread's scratch. Names are those of
/// [`seqc_passes::plan::Chunked`]: `D` is the decay matrix of the block, `d` the decay from its start to each token.
/// What there is for each [`Group`] of writes is a pair.
pub(super) struct Scratch<M = Matrix> {
    /// `K`; where decays are diagonal, keys that have decayed up to the token at hand, or the end of their sub-block.
    pub(super) key: [M; 2],
    /// `K^T`; where decays are diagonal, keys that have decayed up to the start of the sub-block at hand, or the end of the block.
    pub(super) key_transposed: [M; 2],
    /// `Q`
    pub(super) query: M,
    /// `d o Q`
    pub(super) decayed_query: M,
    /// `Q K^T`
    pub(super) scores: [M; 2],
    /// `D o Q K^T`
    pub(super) decayed_scores: [M; 2],
    /// `V`; in a delta rule it becomes `U`, the corrected values.
    pub(super) value: [M; 2],
    /// `D[last] o V`
    pub(super) decayed_value: [M; 2],
    /// `Y`
    pub(super) result: M,
    /// `D[last]`
    pub(super) last_decays: [M; 2],
    /// The state of a head whose rows are no whole vectors, padded.
    pub(super) state: M,
    /// `R`
    pub(super) probe: M,
    /// `g d o R`, where `d` is that of the state that is read.
    pub(super) decayed_probe: M,
    /// `R K^T`; where decays are diagonal, `D o R K^T`.
    pub(super) probe_scores: [M; 2],
    /// `g D o R K^T`: the strictly lower triangular matrix of the system for `U`, and what multiplies other values in it.
    pub(super) system: [M; 2],
    /// What diagonal decays need beside these.
    pub(super) diagonal: DiagonalScratch<M>,
}

/// Matrices for decays that differ from key to key, each with a column for each key.
pub(super) struct DiagonalScratch<M> {
    /// The decay of each token.
    pub(super) decay: M,
    /// One row: the decay from the start of the sub-block up to the token at hand.
    pub(super) running: M,
    /// One row: `d` at the start of the sub-block, in the end `d[last]`.
    pub(super) total: M,
    /// Queries, decayed from the start of their sub-block.
    pub(super) query: M,
    /// Probes, decayed from the start of their sub-block.
    pub(super) probe: M,
    /// `d o R`
    pub(super) decayed_probe: M,
}

impl<M> Scratch<M> {
    fn allocate(sizes: &Sizes, mut matrix: impl FnMut(Shape) -> M) -> Scratch<M> {
        let mut matrix = |rows, columns| matrix(Shape { rows, columns });
        let &Sizes {
            rows, queries, writes, ..
        } = sizes;
        let (n, p) = (sizes.padded_n, sizes.padded_p);
        let (reads, probes) = (rows * queries, rows * writes[CORRECTED]);
        let diagonal = |rows: usize| if sizes.diagonal { rows } else { 0 };
        let plain = |rows: usize| if sizes.diagonal { 0 } else { rows };
        Scratch {
            key: writes.map(|w| matrix(w * rows, n)),
            key_transposed: [CORRECTED, PLAIN].map(|g| matrix(n, sizes.columns(g))),
            query: matrix(reads, n),
            decayed_query: matrix(reads, n),
            scores: [CORRECTED, PLAIN].map(|g| matrix(plain(reads), sizes.columns(g))),
            decayed_scores: [CORRECTED, PLAIN].map(|g| matrix(reads, sizes.columns(g))),
            value: writes.map(|w| matrix(w * rows, p)),
            decayed_value: writes.map(|w| matrix(plain(w * rows), p)),
            result: matrix(reads, p),
            last_decays: [CORRECTED, PLAIN].map(|g| matrix(1, sizes.columns(g))),
            state: matrix(if sizes.in_place() { 0 } else { sizes.n }, p),
            probe: matrix(probes, n),
            decayed_probe: matrix(probes, n),
            probe_scores: [CORRECTED, PLAIN].map(|g| matrix(probes, sizes.columns(g))),
            system: [CORRECTED, PLAIN].map(|g| matrix(probes, sizes.columns(g))),
            diagonal: DiagonalScratch {
                decay: matrix(diagonal(rows), n),
                running: matrix(diagonal(1), n),
                total: matrix(diagonal(1), n),
                query: matrix(diagonal(reads), n),
                probe: matrix(diagonal(probes), n),
                decayed_probe: matrix(diagonal(probes), n),
            },
        }
    }
}

impl Scratch {
    /// The matrices from address `base` on.
    pub(super) fn new(f: &mut Func, base: Val, sizes: &Sizes) -> Scratch {
        let mut offset = 0;
        Scratch::allocate(sizes, |shape| {
            let base = byte(f, base, offset);
            offset += shape.bytes();
            Matrix {
                base,
                stride: shape.columns,
            }
        })
    }
}
