//! Products of a few rows with a packed page, all strides known.

use crate::{
    kernel::{Cache, Func, Module, Scalar, Ty, Val},
    kernels::{dequant::plain_vector, layout::Plain},
};
use seqc_passes::machine::Machine;

/// What happens to the old result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// It is not read.
    Zero,
    /// The products are added.
    Add,
    /// It is multiplied by a factor for each row first.
    Scale,
}

/// `c[r * ldc + j] = init + sum_k a[r * lda + k] * b[k * ldb + j]` for `r < rows`, `j < width`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) lanes: u32,
    /// Its register tiles.
    pub(super) machine: Machine,
    /// Columns, a multiple of the lanes.
    pub(super) width: usize,
    pub(super) lda: usize,
    pub(super) ldb: usize,
    pub(super) ldc: usize,
    /// How the numbers of `b` are stored.
    pub(super) stored: Plain,
    /// The memory that they are in.
    pub(super) space: Ty,
    pub(super) init: Init,
}

/// How many rows a tile can have.
#[derive(Clone, Copy)]
pub(super) struct RowCounts {
    /// Most.
    pub(super) most: usize,
    /// Their number is a multiple of this.
    pub(super) unit: usize,
    /// The least number asks for what is read next.
    pub(super) prefetch: bool,
}

impl Shape {
    /// Types of the parameters of a product.
    pub(super) fn params(&self) -> [Ty; 7] {
        [
            Ty::SCRATCH,
            self.space,
            Ty::SCRATCH,
            Ty::I64,
            Ty::SCRATCH,
            Ty::I64,
            self.space,
        ]
    }
}

/// Adds `fn(a, b, c, k, factors, rows, ahead)`, products for any number of rows that a tile can have; returns its name. The least
/// number of rows is that of one token, which uses what it reads once: it asks for as much from `ahead` on as it reads of `b`.
pub(super) fn product(module: &mut Module, name: String, shape: &Shape, rows: RowCounts) -> String {
    let counts: Vec<usize> = (1..=rows.most).filter(|r| r.is_multiple_of(rows.unit)).rev().collect();
    let vectors = shape.width / shape.lanes as usize;
    let strip = shape.machine.tiles.vectors as usize;
    let strips: Vec<(usize, usize)> = (0..vectors)
        .step_by(strip)
        .map(|v| (v, strip.min(vectors - v)))
        .collect();
    let mut f = Func::new(&name, &shape.params(), None);
    let (unit, prefetch) = (rows.unit, rows.prefetch);
    let rows = f.param(5);
    for count in counts {
        let count_value = f.i64(count as i64);
        let is = f.cmp(crate::kernel::Cmp::Eq, rows, count_value);
        f.if_then(is, |f| {
            for (v, n) in &strips {
                let tile = Tile {
                    shape: *shape,
                    rows: count,
                    vectors: *n,
                    prefetch: prefetch && count == unit,
                };
                let callee = tile.add(module);
                let offset = f.i64((v * shape.lanes as usize) as i64);
                let b = f.gep(f.param(1), offset, shape.stored.scalar());
                let c = f.gep(f.param(2), offset, Scalar::F32);
                let ahead = f.gep(f.param(6), offset, shape.stored.scalar());
                let args = [f.param(0), b, c, f.param(3), f.param(4), ahead];
                f.call(&callee, &args, None);
            }
        });
    }
    module.add(f);
    name
}

struct Tile {
    shape: Shape,
    rows: usize,
    vectors: usize,
    /// It asks for what is read next.
    prefetch: bool,
}

impl Tile {
    /// Adds `fn(a, b, c, k, factors, ahead)` unless it is there; returns its name.
    fn add(&self, module: &mut Module) -> String {
        let Shape {
            lda,
            ldb,
            ldc,
            stored,
            space,
            init,
            ..
        } = self.shape;
        let name = format!(
            "seqc_strided_tile_{}x{}_{lda}_{ldb}_{ldc}_{}{}{init:?}{}",
            self.rows,
            self.vectors,
            match stored {
                Plain::F32 => "",
                Plain::F16 => "f16_",
                Plain::Bf16 => "bf16_",
            },
            match space {
                Ty::SCRATCH => "copied_",
                Ty::GENERIC => "generic_",
                Ty::SHARED => "shared_",
                _ => "",
            },
            if self.prefetch { "_prefetch" } else { "" }
        );
        if module.has(&name) {
            return name;
        }
        let mut f = Func::new(
            &name,
            &[Ty::SCRATCH, space, Ty::SCRATCH, Ty::I64, Ty::SCRATCH, space],
            None,
        );
        let init = self.initial(&mut f);
        let steps = self.shape.machine.tiles.unroll as usize;
        let (k, zero, one, unroll) = (f.param(3), f.i64(0), f.i64(1), f.i64(steps as i64));
        let rest = f.i64(-(steps as i64));
        let whole = f.and(k, rest);
        let sums = f.for_loop(zero..whole, unroll, &init, |f, i, sums| {
            (0..steps).fold(sums.to_vec(), |sums, u| self.step(f, i, u, sums))
        });
        let sums = f.for_loop(whole..k, one, &sums, |f, i, sums| self.step(f, i, 0, sums.to_vec()));
        for (n, sum) in sums.iter().enumerate() {
            let p = self.result(&mut f, n);
            f.store(*sum, p);
        }
        module.add(f);
        name
    }

    fn result(&self, f: &mut Func, n: usize) -> Val {
        let (row, v) = (n / self.vectors, n % self.vectors);
        let offset = f.i64((row * self.shape.ldc + v * self.shape.lanes as usize) as i64);
        f.gep(f.param(2), offset, Scalar::F32)
    }

    fn initial(&self, f: &mut Func) -> Vec<Val> {
        let ty = Ty::V(self.shape.lanes, Scalar::F32);
        let mut out = Vec::new();
        for n in 0..self.rows * self.vectors {
            if self.shape.init == Init::Zero {
                out.push(f.zero(ty));
                continue;
            }
            let p = self.result(f, n);
            let old = f.load(p, ty);
            if self.shape.init == Init::Add {
                out.push(old);
                continue;
            }
            let row = f.i64((n / self.vectors) as i64);
            let p = f.gep(f.param(4), row, Scalar::F32);
            let factor = f.load(p, Ty::F32);
            let factor = f.splat(factor, self.shape.lanes);
            out.push(f.mul(old, factor));
        }
        out
    }

    /// One `k = i + u`.
    fn step(&self, f: &mut Func, i: Val, u: usize, sums: Vec<Val>) -> Vec<Val> {
        let Shape {
            lanes,
            lda,
            ldb,
            stored,
            ..
        } = self.shape;
        let elem = stored.scalar();
        let stride = f.i64(ldb as i64);
        let at = f.mul(i, stride);
        let line = f.gep(f.param(1), at, elem);
        let columns: Vec<Val> = (0..self.vectors)
            .map(|v| {
                let offset = f.i64((u * ldb + v * lanes as usize) as i64);
                let p = f.gep(line, offset, elem);
                plain_vector(f, stored, p, lanes, None)
            })
            .collect();
        if self.prefetch {
            let ahead = f.gep(f.param(5), at, elem);
            let line = self.shape.machine.memory.line / elem.bytes() as usize;
            for v in (0..self.vectors * lanes as usize).step_by(line) {
                let offset = f.i64((u * ldb + v) as i64);
                let p = f.gep(ahead, offset, elem);
                f.prefetch(p, Cache::Second);
            }
        }
        let a = f.gep(f.param(0), i, Scalar::F32);
        let mut next = Vec::with_capacity(sums.len());
        for (r, sums) in sums.chunks(self.vectors).enumerate() {
            let offset = f.i64((r * lda + u) as i64);
            let p = f.gep(a, offset, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let x = f.splat(x, lanes);
            for (column, sum) in columns.iter().zip(sums) {
                next.push(f.fma(x, *column, *sum));
            }
        }
        next
    }
}
