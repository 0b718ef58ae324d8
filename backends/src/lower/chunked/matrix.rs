//! Row-major matrices of `f32` in scratch or in a state, and their products by register tiles.

use crate::{
    kernel::{Func, Scalar, Ty, Val},
    kernels::{self, Tile},
};

/// A row-major matrix, or the rest of one from some entry on.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    /// Address of the first entry.
    pub(super) base: Val,
    /// Floats from row to row (the leading dimension).
    pub(super) stride: usize,
}

impl Matrix {
    /// Address of the first entry of a row.
    pub(super) fn row(self, f: &mut Func, row: Val) -> Val {
        let stride = f.i64(self.stride as i64);
        let at = f.mul(row, stride);
        f.gep(self.base, at, Scalar::F32)
    }

    /// The rows from `row` on.
    pub(super) fn rows_from(self, f: &mut Func, row: Val) -> Matrix {
        let base = self.row(f, row);
        Matrix { base, ..self }
    }

    /// The columns from `column` on.
    pub(super) fn columns_from(self, f: &mut Func, column: Val) -> Matrix {
        let base = f.gep(self.base, column, Scalar::F32);
        Matrix { base, ..self }
    }

    /// Every `step`-th row, from row `first` on.
    pub(super) fn every(self, f: &mut Func, first: usize, step: usize) -> Matrix {
        let first = f.i64(first as i64);
        let from = self.rows_from(f, first);
        Matrix {
            stride: self.stride * step,
            ..from
        }
    }

    /// Address of an entry.
    pub(super) fn entry(self, f: &mut Func, row: Val, column: Val) -> Val {
        let row = self.row(f, row);
        f.gep(row, column, Scalar::F32)
    }

    /// Copies `rows` rows of `columns` entries to the first ones of another matrix.
    pub(super) fn copy_to(self, f: &mut Func, to: Matrix, rows: usize, columns: usize) {
        let (zero, rows, columns) = (f.i64(0), f.i64(rows as i64), f.i64(columns as i64));
        f.for_each(zero, rows, 1, |f, row| {
            let (from, to) = (self.row(f, row), to.row(f, row));
            f.call(kernels::COPY, &[from, to, columns], None);
        });
    }
}

/// A row that is read and a row that is written.
#[derive(Clone, Copy)]
pub(super) struct RowPair {
    pub(super) from: Val,
    pub(super) to: Val,
}

impl RowPair {
    /// Row `row` of two matrices.
    pub(super) fn of(f: &mut Func, from: Matrix, to: Matrix, row: Val) -> RowPair {
        RowPair {
            from: from.row(f, row),
            to: to.row(f, row),
        }
    }

    /// The vectors at column `at` of both rows.
    pub(super) fn at(self, f: &mut Func, at: Val) -> RowPair {
        RowPair {
            from: f.gep(self.from, at, Scalar::F32),
            to: f.gep(self.to, at, Scalar::F32),
        }
    }

    /// Vector `v` of both rows.
    pub(super) fn vector(self, f: &mut Func, v: usize, lanes: u32) -> RowPair {
        RowPair {
            from: vector_of_row(f, self.from, v, lanes),
            to: vector_of_row(f, self.to, v, lanes),
        }
    }

    /// Writes the read row times a number, in whole vectors up to `width` floats.
    pub(super) fn scale(self, f: &mut Func, by: Val, width: usize, lanes: u32) {
        let by = f.splat(by, lanes);
        let (zero, width) = (f.i64(0), f.i64(width as i64));
        f.for_each(zero, width, i64::from(lanes), |f, at| {
            let (from, to) = (f.gep(self.from, at, Scalar::F32), f.gep(self.to, at, Scalar::F32));
            let val = f.load(from, Ty::V(lanes, Scalar::F32));
            let val = f.mul(val, by);
            f.store(val, to);
        });
    }
}

/// Address of vector `v` of a row.
pub(super) fn vector_of_row(f: &mut Func, row: Val, v: usize, lanes: u32) -> Val {
    let at = f.i64(v as i64 * i64::from(lanes));
    f.gep(row, at, Scalar::F32)
}

/// `C = beta C + A B`, where `A` has `depth` columns; where a tile is transposed, `A` has `depth` rows and `A^T` is meant.
pub(super) struct Product {
    pub(super) a: Matrix,
    pub(super) b: Matrix,
    pub(super) c: Matrix,
    pub(super) depth: Val,
    pub(super) beta: Val,
}

impl Product {
    /// Computes the first rows and columns of `C`, those of one register tile.
    pub(super) fn call(&self, f: &mut Func, tile: Tile) {
        let (a, b, c) = (self.a, self.b, self.c);
        let [lda, ldb, ldc] = [a, b, c].map(|m| f.i64(m.stride as i64));
        let args = [a.base, lda, b.base, ldb, c.base, ldc, self.depth, self.beta];
        f.call(&tile.name(), &args, None);
    }
}
