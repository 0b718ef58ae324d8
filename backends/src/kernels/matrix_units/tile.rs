//! Some rows of activations times a packed panel, on matrix units.

use super::{LANES, Parts, ROWS, SUMMED, TOKENS, WORDS, numbers, products};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    targets::MatrixUnits,
};

/// What a tile multiplies.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// How the processor does it.
    pub(crate) units: MatrixUnits,
    /// Rows of the panel.
    pub(crate) width: usize,
    /// Parts of weights.
    pub(crate) weights: Parts,
    /// Parts of activations.
    pub(crate) activations: Parts,
    /// Matrices of activations, eight rows each, whose sums stay in registers together.
    pub(crate) matrices: usize,
}

/// Adds the kernel; returns its name.
///
/// `fn(x, ldx, packed, y, ldy, kc, accumulate, rows)` computes `y[t * ldy + r] = sum_k W[r][k] * x[t * ldx + k]` for all rows `r` of the panel, `k < kc`
/// and `t < rows`, of which there are one to [`Tile::rows`], and adds it to what is there with `accumulate`. The panel is that of
/// [`super::pack_fragments`]. Rows beyond `rows` are not read.
pub(crate) fn tile(module: &mut Module, tile: Tile) -> String {
    let [weights, activations] = [tile.weights, tile.activations].map(Parts::count);
    let name = format!("seqc_matrix_tile_{}x{}_{weights}{activations}", tile.rows(), tile.width);
    if module.has(&name) {
        return name;
    }
    let types = [
        Ty::GENERIC,
        Ty::I64,
        Ty::SCRATCH,
        Ty::GENERIC,
        Ty::I64,
        Ty::I64,
        Ty::S(Scalar::I1),
        Ty::I64,
    ];
    let mut f = Func::new(&name, &types, None);
    tile.body(&mut f);
    module.add(f);
    name
}

impl Tile {
    /// Most rows of activations.
    pub(crate) fn rows(&self) -> usize {
        TOKENS * self.matrices
    }

    fn body(&self, f: &mut Func) {
        let (x, ldx, y, kc, accumulate) = (f.param(0), f.param(1), f.param(3), f.param(5), f.param(6));
        let (tiles, sums) = (self.width / ROWS, Ty::V(LANES as u32, Scalar::F32));
        let all = f.int(sums.with(Scalar::I1), 1);
        let init = f.if_else(
            accumulate,
            |f| {
                let places: Vec<Val> = (0..self.matrices).flat_map(|j| self.results(f, j)).collect();
                let load = |at: Val| {
                    let p = f.gep(y, at, Scalar::F32);
                    f.gather(p, all, Scalar::F32)
                };
                places.into_iter().map(load).collect()
            },
            |f| vec![f.zero(sums); self.matrices * tiles],
        );
        let rows: Vec<Val> = (0..self.matrices).map(|j| self.activation_rows(f, j, ldx)).collect();
        let (zero, step) = (f.i64(0), f.i64(SUMMED as i64));
        let rest = f.urem(kc, step);
        let whole = f.sub(kc, rest);
        let sums = f.for_loop(zero..whole, step, &init, |f, k, sums| {
            self.step(f, [x, k], &rows, None, sums)
        });
        let some = f.cmp(Cmp::Ne, rest, zero);
        let sums = f.if_else(
            some,
            |f| self.step(f, [x, whole], &rows, Some(rest), &sums),
            |_| sums.clone(),
        );
        // Where they go is computed again: the registers are for sums.
        for (j, sums) in sums.chunks(tiles).enumerate() {
            let (places, inside) = (self.results(f, j), self.inside(f, j));
            for (sum, at) in sums.iter().zip(places) {
                let p = f.gep(y, at, Scalar::F32);
                f.scatter(*sum, p, inside);
            }
        }
    }

    /// A row of activations for each lane of numbers of them, the last one where there are no more.
    fn row(&self, f: &mut Func, row: Val) -> Val {
        let one = f.i64(1);
        let last = f.sub(f.param(7), one);
        let last = f.splat(last, row.ty.lanes());
        f.min(row, last)
    }

    /// Where the lanes of each matrix of sums go: those of the weights' rows one after another, with matrix `j` of activations.
    fn results(&self, f: &mut Func, j: usize) -> Vec<Val> {
        let row = numbers(f, LANES, |lane| TOKENS * j + lane.of_sums()[1]);
        let row = self.row(f, row);
        let ldy = f.splat(f.param(4), LANES as u32);
        let before = f.mul(row, ldy);
        let place = |i: usize| {
            let weights = numbers(f, LANES, |lane| ROWS * i + lane.of_sums()[0]);
            f.add(before, weights)
        };
        (0..self.width / ROWS).map(place).collect()
    }

    /// The lanes of sums of matrix `j` of activations whose rows are there.
    fn inside(&self, f: &mut Func, j: usize) -> Val {
        let row = numbers(f, LANES, |lane| TOKENS * j + lane.of_sums()[1]);
        let rows = f.splat(f.param(7), LANES as u32);
        f.cmp(Cmp::Lt, row, rows)
    }

    /// Where the lanes of matrix `j` of activations are read, with the first columns.
    fn activation_rows(&self, f: &mut Func, j: usize, ldx: Val) -> Val {
        let row = numbers(f, WORDS, |lane| TOKENS * j + lane.of_activations()[0]);
        let row = self.row(f, row);
        let ldx = f.splat(ldx, WORDS as u32);
        let before = f.mul(row, ldx);
        let column = numbers(f, WORDS, |lane| lane.of_activations()[1]);
        f.add(before, column)
    }

    /// Adds the products of sixteen columns from `k` on, or of so many of them.
    fn step(&self, f: &mut Func, [x, k]: [Val; 2], rows: &[Val], count: Option<Val>, sums: &[Val]) -> Vec<Val> {
        let x = f.gep(x, k, Scalar::F32);
        let activations: Vec<Vec<Val>> = rows.iter().map(|at| self.activations(f, x, *at, count)).collect();
        let (tiles, summed) = (self.width / ROWS, f.i64(SUMMED as i64));
        let number = f.udiv(k, summed);
        let words = f.i64((tiles * self.weights.count() * LANES) as i64);
        let before = f.mul(number, words);
        let packed = f.gep(f.param(2), before, Scalar::I32);
        let (mut sums, products) = (sums.to_vec(), products(self.weights, self.activations));
        for i in 0..tiles {
            let load = |part: usize| {
                let at = f.i64(((i * self.weights.count() + part) * LANES) as i64);
                let p = f.gep(packed, at, Scalar::I32);
                f.load_aligned(p, Ty::V(LANES as u32, Scalar::I32))
            };
            let weights: Vec<Val> = (0..self.weights.count()).map(load).collect();
            for (j, activations) in activations.iter().enumerate() {
                let sum = &mut sums[j * tiles + i];
                for [w, x] in &products {
                    *sum = (self.units.multiply)(f, *sum, weights[*w], activations[*x]);
                }
            }
        }
        sums
    }

    /// The parts of a matrix of activations.
    fn activations(&self, f: &mut Func, x: Val, at: Val, count: Option<Val>) -> Vec<Val> {
        let pair = [0, 1].map(|next| {
            let places = f.int(at.ty, next as i64);
            let places = f.add(at, places);
            let places = f.gep(x, places, Scalar::F32);
            let mask = match count {
                None => f.int(at.ty.with(Scalar::I1), 1),
                Some(count) => {
                    let column = numbers(f, WORDS, |lane| lane.of_activations()[1] + next);
                    let count = f.splat(count, WORDS as u32);
                    f.cmp(Cmp::Lt, column, count)
                }
            };
            f.gather(places, mask, Scalar::F32)
        });
        self.activations.split(f, self.units, pair)
    }
}
