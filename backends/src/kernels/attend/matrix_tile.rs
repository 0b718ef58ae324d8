//! Products of a tile of rows with a packed page on matrix units, all strides known.
//!
//! The page is the first factor, whose columns are rows of its matrices; rows of queries or of weights are the second one. Both are split into as many numbers of
//! bfloat16 as have all of their bits ([`Parts`]), so that results agree with those of [`super::tile`].

use super::tile::{Init, Shape};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{
        dequant::plain_floats,
        finite::{all_finite, note},
        matrix_units::{LANES, Parts, ROWS, SUMMED, TOKENS, WORDS, numbers, products},
    },
    targets::MatrixUnits,
};

/// Matrices of rows of a tile.
const MATRICES: usize = 2;
/// Most rows of a tile.
pub(super) const TILE_ROWS: usize = MATRICES * TOKENS;

/// Adds `fn(a, b, c, k, factors, rows, ahead) -> i1` with the arguments of [`super::tile::product`], which computes the same for up to
/// [`TILE_ROWS`] rows and any `k`; returns its name. It returns whether all results are finite: parts of infinite numbers have no sum.
pub(super) fn product(module: &mut Module, name: String, shape: &Shape, units: MatrixUnits) -> String {
    let tile = MatrixTile { shape: *shape, units };
    let mut f = Func::new(&name, &shape.params(), Some(Ty::S(Scalar::I1)));
    tile.body(&mut f);
    module.add(f);
    name
}

struct MatrixTile {
    shape: Shape,
    units: MatrixUnits,
}

impl MatrixTile {
    fn body(&self, f: &mut Func) {
        let (k, zero, step) = (f.param(3), f.i64(0), f.i64(SUMMED as i64));
        let rest = f.urem(k, step);
        let whole = f.sub(k, rest);
        let init: Vec<Val> = (0..MATRICES).flat_map(|j| self.initial(f, j)).collect();
        let sums = f.for_loop(zero..whole, step, &init, |f, k, sums| self.step(f, k, None, sums));
        let some = f.cmp(Cmp::Ne, rest, zero);
        let sums = f.if_else(some, |f| self.step(f, whole, Some(rest), &sums), |_| sums.clone());
        let mut found = f.zero(Ty::V(LANES as u32, Scalar::I32));
        for (j, sums) in sums.chunks(self.tiles()).enumerate() {
            let row = numbers(f, LANES, |lane| TOKENS * j + lane.of_sums()[1]);
            let rows = f.splat(f.param(5), LANES as u32);
            let inside = f.cmp(Cmp::Lt, row, rows);
            for (sum, at) in sums.iter().zip(self.places(f, j)) {
                found = note(f, *sum, found);
                f.scatter(*sum, at, inside);
            }
        }
        let finite = all_finite(f, found);
        f.ret(finite);
    }

    /// Matrices of the page's columns.
    fn tiles(&self) -> usize {
        self.shape.width / ROWS
    }

    /// A row of the tile for each lane, the last one where there are no more.
    fn row(&self, f: &mut Func, row: Val) -> Val {
        let one = f.i64(1);
        let last = f.sub(f.param(5), one);
        let last = f.splat(last, row.ty.lanes());
        f.min(row, last)
    }

    /// Where the sums of matrix `j` of rows go, those of the page's matrices one after another.
    fn places(&self, f: &mut Func, j: usize) -> Vec<Val> {
        let row = numbers(f, LANES, |lane| TOKENS * j + lane.of_sums()[1]);
        let row = self.row(f, row);
        let stride = f.int(row.ty, self.shape.ldc as i64);
        let before = f.mul(row, stride);
        let place = |i: usize| {
            let column = numbers(f, LANES, |lane| ROWS * i + lane.of_sums()[0]);
            let at = f.add(before, column);
            f.gep(f.param(2), at, Scalar::F32)
        };
        (0..self.tiles()).map(place).collect()
    }

    /// The sums of matrix `j` of rows before the first product.
    fn initial(&self, f: &mut Func, j: usize) -> Vec<Val> {
        let ty = Ty::V(LANES as u32, Scalar::F32);
        if self.shape.init == Init::Zero {
            return vec![f.zero(ty); self.tiles()];
        }
        let all = f.int(ty.with(Scalar::I1), 1);
        let load = |f: &mut Func, at: Val| f.gather(at, all, Scalar::F32);
        let places = self.places(f, j);
        let old: Vec<Val> = places.into_iter().map(|at| load(f, at)).collect();
        if self.shape.init == Init::Add {
            return old;
        }
        let row = numbers(f, LANES, |lane| TOKENS * j + lane.of_sums()[1]);
        let row = self.row(f, row);
        let at = f.gep(f.param(4), row, Scalar::F32);
        let factor = load(f, at);
        old.into_iter().map(|old| f.mul(old, factor)).collect()
    }

    /// Adds the products of sixteen steps of the summed axis from `k` on, or of so many of them.
    fn step(&self, f: &mut Func, k: Val, count: Option<Val>, sums: &[Val]) -> Vec<Val> {
        let of_page = Parts::of_plain(self.shape.stored);
        let rows: Vec<Vec<Val>> = (0..MATRICES).map(|j| self.rows(f, j, k, count)).collect();
        let (mut sums, products) = (sums.to_vec(), products(of_page, Parts::Three));
        for i in 0..self.tiles() {
            let page = self.page(f, i, k, count);
            // Sums that follow one another do not wait for each other.
            for [w, x] in &products {
                for (j, rows) in rows.iter().enumerate() {
                    let sum = &mut sums[j * self.tiles() + i];
                    *sum = (self.units.multiply)(f, *sum, page[*w], rows[*x]);
                }
            }
        }
        sums
    }

    /// Matrix `j` of rows in its parts.
    fn rows(&self, f: &mut Func, j: usize, k: Val, count: Option<Val>) -> Vec<Val> {
        let from = f.gep(f.param(0), k, Scalar::F32);
        let row = numbers(f, WORDS, |lane| TOKENS * j + lane.of_activations()[0]);
        let row = self.row(f, row);
        let stride = f.int(row.ty, self.shape.lda as i64);
        let before = f.mul(row, stride);
        let pair = [0, 1].map(|next| {
            let column = numbers(f, WORDS, |lane| lane.of_activations()[1] + next);
            let at = f.add(before, column);
            let at = f.gep(from, at, Scalar::F32);
            let mask = below(f, column, count);
            f.gather(at, mask, Scalar::F32)
        });
        Parts::Three.split(f, self.units, pair)
    }

    /// Sixteen columns of the page, from `16 i` on, in their parts.
    fn page(&self, f: &mut Func, i: usize, k: Val, count: Option<Val>) -> Vec<Val> {
        let Shape { ldb, stored, .. } = self.shape;
        let stride = f.i64(ldb as i64);
        let before = f.mul(k, stride);
        let from = f.gep(f.param(1), before, stored.scalar());
        let stride = f.splat(stride, LANES as u32);
        let column = numbers(f, LANES, |lane| ROWS * i + lane.of_weights()[0]);
        let pair = [0, 1].map(|next| {
            let k = numbers(f, LANES, |lane| lane.of_weights()[1] + next);
            // Places of a thread differ by constants, which its loads take, and one register has what is left.
            let at = f.mul(k, stride);
            let at = f.add(at, column);
            let at = f.gep(from, at, stored.scalar());
            let mask = below(f, k, count);
            let raw = f.gather(at, mask, stored.scalar());
            plain_floats(f, stored, raw)
        });
        Parts::of_plain(stored).split(f, self.units, pair)
    }
}

/// Lanes of numbers below `count`, or all.
fn below(f: &mut Func, numbers: Val, count: Option<Val>) -> Val {
    match count {
        None => f.int(numbers.ty.with(Scalar::I1), 1),
        Some(count) => {
            let count = f.splat(count, numbers.ty.lanes());
            f.cmp(Cmp::Lt, numbers, count)
        }
    }
}
