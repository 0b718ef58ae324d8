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
    /// Rows of the matrices with a row for each token: the block, rounded up to whole tiles.
    rows: usize,
    /// Values are corrected by what the state holds, as in a delta rule.
    pub(super) corrected: bool,
}

impl Sizes {
    pub(super) fn new(layer: &Layer<'_>, scan: &Scan, form: &Chunked) -> Sizes {
        let state = layer.graph.states[scan.states[0].0 as usize].ty.sizes();
        let (p, n) = (state[scan.kept[scan.kept.len() - 1]], state[scan.reduced[0]]);
        let lanes = layer.lanes() as usize;
        let tile_rows = layer.machine().tallest_tile();
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
            corrected: form.correction.is_some(),
        }
    }

    /// Whether the state's rows are whole vectors; else a head is copied to scratch, where they are.
    pub(super) fn in_place(&self) -> bool {
        self.p == self.padded_p
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

    /// A tile of `A^T B`.
    pub(super) fn transposed_tile(&self, rows: u32, vectors: u32) -> Tile {
        Tile {
            rows,
            transposed: true,
            ..self.tile(vectors)
        }
    }

    /// All tiles that the recurrence calls.
    pub(super) fn tiles(&self) -> Vec<Tile> {
        let mut all = vec![self.tile(self.score_vectors())];
        for vectors in [self.tile_vectors, 1] {
            all.push(self.tile(vectors));
            let rows = [self.tile_rows, self.rest_of_n()].into_iter().filter(|rows| *rows > 0);
            all.extend(rows.map(|rows| self.transposed_tile(rows, vectors)));
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
pub(super) struct Scratch<M = Matrix> {
    /// `K`
    pub(super) key: M,
    /// `K^T`
    pub(super) key_transposed: M,
    /// `Q`
    pub(super) query: M,
    /// `d o Q`
    pub(super) decayed_query: M,
    /// `Q K^T`
    pub(super) scores: M,
    /// `D o Q K^T`
    pub(super) decayed_scores: M,
    /// `V`; in a delta rule it becomes `U`, the corrected values.
    pub(super) value: M,
    /// `D[last] o V`
    pub(super) decayed_value: M,
    /// `Y`
    pub(super) result: M,
    /// `D[last]`; in the rows behind it the state of a head whose rows are no whole vectors, padded.
    pub(super) last_decays: M,
    /// `R`
    pub(super) probe: M,
    /// `-d' g o R`, where `d'` is of the token before.
    pub(super) decayed_probe: M,
    /// `R K^T`
    pub(super) probe_scores: M,
    /// `-D' g o R K^T`, where `D'` is of the token before: the strictly lower triangular matrix of the system for `U`.
    pub(super) system: M,
}

impl<M> Scratch<M> {
    fn allocate(sizes: &Sizes, mut matrix: impl FnMut(Shape) -> M) -> Scratch<M> {
        let mut matrix = |rows, columns| matrix(Shape { rows, columns });
        let &Sizes { rows, block, .. } = sizes;
        let (n, p) = (sizes.padded_n, sizes.padded_p);
        let state_rows = if sizes.in_place() { 0 } else { sizes.n };
        let corrected_rows = if sizes.corrected { rows } else { 0 };
        Scratch {
            key: matrix(rows, n),
            key_transposed: matrix(n, block),
            query: matrix(rows, n),
            decayed_query: matrix(rows, n),
            scores: matrix(rows, block),
            decayed_scores: matrix(rows, block),
            value: matrix(rows, p),
            decayed_value: matrix(rows, p),
            result: matrix(rows, p),
            last_decays: matrix(1 + state_rows, p.max(block)),
            probe: matrix(corrected_rows, n),
            decayed_probe: matrix(corrected_rows, n),
            probe_scores: matrix(corrected_rows, block),
            system: matrix(corrected_rows, block),
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
