//! A register tile of a product of small matrices, without packing.

use crate::kernel::{Func, Module, Scalar, Ty, Val};

/// A tile of `rows` rows and `panel` vectors of `lanes` floats.
#[derive(Clone, Copy)]
pub struct Tile {
    /// `f32` lanes of a vector.
    pub lanes: u32,
    /// Rows.
    pub rows: u32,
    /// Vectors of a row.
    pub panel: u32,
    /// Steps of `k` in one iteration, a power of two.
    pub unroll: u32,
    /// `a` is transposed: `a[k * lda + r]` instead of `a[r * lda + k]`.
    pub transposed: bool,
}

impl Tile {
    /// Name of the function that [`Tile::add`] adds.
    pub fn name(&self) -> String {
        let order = if self.transposed { "_transposed" } else { "" };
        format!("seqc_tile_{}x{}{order}", self.rows, self.panel)
    }

    /// Adds the kernel.
    ///
    /// `fn(a, lda, b, ldb, c, ldc, k, old)` computes `c[r * ldc + j] = old * c[r * ldc + j] + sum_k a[r, k] * b[k * ldb + j]`
    /// for the rows and columns of the tile. Where `old` is zero, `c` is not read.
    pub fn add(&self, module: &mut Module) {
        let name = self.name();
        if module.has(&name) {
            return;
        }
        let params = [
            Ty::GENERIC,
            Ty::I64,
            Ty::GENERIC,
            Ty::I64,
            Ty::GENERIC,
            Ty::I64,
            Ty::I64,
            Ty::F32,
        ];
        let mut f = Func::new(&name, &params, None);
        let (c, ldc, k, old) = (f.param(4), f.param(5), f.param(6), f.param(7));
        let c_rows = row_pointers(&mut f, c, ldc, self.rows);
        let init = self.initial(&mut f, &c_rows, old);
        let a_rows = if self.transposed {
            let one = f.i64(1);
            let a = f.param(0);
            row_pointers(&mut f, a, one, self.rows)
        } else {
            let (a, lda) = (f.param(0), f.param(1));
            row_pointers(&mut f, a, lda, self.rows)
        };
        let steps = i64::from(self.unroll);
        let (zero, one, unroll, rest) = (f.i64(0), f.i64(1), f.i64(steps), f.i64(-steps));
        let whole = f.and(k, rest);
        let sums = f.for_loop(zero..whole, unroll, &init, |f, i, sums| {
            (0..steps).fold(sums.to_vec(), |sums, u| {
                let u = f.i64(u);
                let i = f.add(i, u);
                self.step(f, &a_rows, i, &sums)
            })
        });
        let sums = f.for_loop(whole..k, one, &sums, |f, i, sums| self.step(f, &a_rows, i, sums));
        for (row, sums) in c_rows.iter().zip(sums.chunks(self.panel as usize)) {
            for (v, sum) in sums.iter().enumerate() {
                let p = self.column(&mut f, *row, v);
                f.store(*sum, p);
            }
        }
        module.add(f);
    }

    fn ty(&self) -> Ty {
        Ty::V(self.lanes, Scalar::F32)
    }

    /// Pointer to vector `v` of a row.
    fn column(&self, f: &mut Func, row: Val, v: usize) -> Val {
        let offset = f.i64(i64::from(self.lanes) * v as i64);
        f.gep(row, offset, Scalar::F32)
    }

    fn initial(&self, f: &mut Func, c_rows: &[Val], old: Val) -> Vec<Val> {
        let zero = f.f32(0.0);
        let read = f.cmp(crate::kernel::Cmp::Ne, old, zero);
        let load = |f: &mut Func| {
            let old = f.splat(old, self.lanes);
            let places = c_rows
                .iter()
                .flat_map(|row| (0..self.panel as usize).map(move |v| (*row, v)));
            let load = |(row, v)| {
                let p = self.column(f, row, v);
                let c = f.load(p, self.ty());
                f.mul(c, old)
            };
            places.map(load).collect()
        };
        f.if_else(read, load, |f| {
            vec![f.zero(self.ty()); (self.rows * self.panel) as usize]
        })
    }

    /// One `k`: a row of `b` times one element of each row of `a`.
    fn step(&self, f: &mut Func, a_rows: &[Val], k: Val, sums: &[Val]) -> Vec<Val> {
        let (lda, b, ldb) = (f.param(1), f.param(2), f.param(3));
        let at = f.mul(k, ldb);
        let row = f.gep(b, at, Scalar::F32);
        let columns: Vec<Val> = (0..self.panel as usize)
            .map(|v| {
                let p = self.column(f, row, v);
                f.load(p, self.ty())
            })
            .collect();
        let at = if self.transposed { f.mul(k, lda) } else { k };
        let mut next = Vec::with_capacity(sums.len());
        for (a, sums) in a_rows.iter().zip(sums.chunks(self.panel as usize)) {
            let p = f.gep(*a, at, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let x = f.splat(x, self.lanes);
            for (column, sum) in columns.iter().zip(sums) {
                next.push(f.fma(x, *column, *sum));
            }
        }
        next
    }
}

/// Pointers to `count` rows.
pub(super) fn row_pointers(f: &mut Func, base: Val, stride: Val, count: u32) -> Vec<Val> {
    let mut rows = vec![base];
    for _ in 1..count {
        let last = rows[rows.len() - 1];
        rows.push(f.gep(last, stride, Scalar::F32));
    }
    rows
}
