//! The matrix micro-kernel: a few rows of activations times one packed panel of weights.

use super::tile::row_pointers;
use crate::{
    kernel::{Func, Module, Scalar, Ty, Val},
    targets::DotPairs,
};
use seqc_passes::machine::Machine;

/// Adds the micro-kernel for `rows` rows and panels of `panel` vectors; returns its name.
///
/// `fn(a, lda, b, c, ldc, k, accumulate: i1)` computes, with `n` floats in `panel` vectors,
/// `c[r * ldc + j] (+)= sum_k a[r * lda + k] * b[k * n + j]` for `r < rows`, `j < n`.
/// `lda` and `ldc` count floats; without `accumulate` the old `c` is not read.
pub fn micro_kernel(module: &mut Module, machine: &Machine, rows: u32, panel: u32) -> String {
    micro_kernel_of(module, machine, Multiply::Floats, [rows, panel])
}

/// What rows of activations and weights are made of.
#[derive(Clone, Copy)]
pub(super) enum Multiply {
    Floats,
    /// Two numbers of bfloat16 in the place of a float, so that a step takes two columns. `k` counts columns, and the last one stands alone
    /// where it is odd, beside a zero.
    Pairs(DotPairs),
}

/// The same for activations and weights of a kind.
pub(super) fn micro_kernel_of(
    module: &mut Module,
    machine: &Machine,
    multiply: Multiply,
    [rows, panel]: [u32; 2],
) -> String {
    let kind = match multiply {
        Multiply::Floats => "",
        Multiply::Pairs(_) => "_pairs",
    };
    let name = format!("seqc_mk{kind}_{rows}x{panel}");
    if module.has(&name) {
        return name;
    }
    let params = [Ty::GENERIC, Ty::I64, Ty::SCRATCH, Ty::GENERIC, Ty::I64, Ty::I64, Ty::I1];
    let mut f = Func::new(&name, &params, None);
    let (a, lda, b, c, ldc) = (f.param(0), f.param(1), f.param(2), f.param(3), f.param(4));
    let (k, accumulate) = (f.param(5), f.param(6));
    let k = match multiply {
        Multiply::Floats => k,
        Multiply::Pairs(_) => {
            let (one, two) = (f.i64(1), f.i64(2));
            let above = f.add(k, one);
            f.udiv(above, two)
        }
    };
    let tile = Tile {
        multiply,
        lanes: machine.lanes,
        rows,
        panel,
        b,
    };
    let a_rows = row_pointers(&mut f, a, lda, rows);
    let c_rows = row_pointers(&mut f, c, ldc, rows);
    let init = tile.initial(&mut f, &c_rows, accumulate);
    let steps = i64::from(machine.tiles.unroll);
    let (zero, one, unroll) = (f.i64(0), f.i64(1), f.i64(steps));
    let rest = f.i64(-steps);
    let whole = f.and(k, rest);
    let sums = f.for_loop(zero..whole, unroll, &init, |f, i, sums| {
        (0..steps).fold(sums.to_vec(), |sums, u| tile.step(f, &a_rows, i, u, sums))
    });
    let sums = f.for_loop(whole..k, one, &sums, |f, i, sums| {
        tile.step(f, &a_rows, i, 0, sums.to_vec())
    });
    for (r, row) in c_rows.iter().enumerate() {
        for v in 0..panel {
            let p = tile.column(&mut f, *row, v);
            f.store(sums[r * panel as usize + v as usize], p);
        }
    }
    module.add(f);
    name
}

struct Tile {
    multiply: Multiply,
    lanes: u32,
    rows: u32,
    panel: u32,
    /// The packed panel.
    b: Val,
}

impl Tile {
    fn ty(&self) -> Ty {
        Ty::V(self.lanes, Scalar::F32)
    }

    /// Pointer to vector `v` of a row.
    fn column(&self, f: &mut Func, row: Val, v: u32) -> Val {
        let offset = f.i64(i64::from(v * self.lanes));
        f.gep(row, offset, Scalar::F32)
    }

    fn initial(&self, f: &mut Func, c_rows: &[Val], accumulate: Val) -> Vec<Val> {
        let ty = self.ty();
        let count = (self.rows * self.panel) as usize;
        let load = |f: &mut Func| {
            let places = c_rows.iter().flat_map(|row| (0..self.panel).map(move |v| (*row, v)));
            let load = |(row, v)| {
                let p = self.column(f, row, v);
                f.load(p, ty)
            };
            places.map(load).collect()
        };
        f.if_else(accumulate, load, |f| vec![f.zero(ty); count])
    }

    /// One `k = i + u`: a row of the panel times one element of each row of `a`.
    fn step(&self, f: &mut Func, a_rows: &[Val], i: Val, u: i64, sums: Vec<Val>) -> Vec<Val> {
        let width = f.i64(i64::from(self.lanes * self.panel));
        let at = f.mul(i, width);
        let row = f.gep(self.b, at, Scalar::F32);
        // In generic memory and in scratch alike a place counts 32 bits, whatever it holds.
        let (scalar, vector) = match self.multiply {
            Multiply::Floats => (Scalar::F32, self.ty()),
            Multiply::Pairs(_) => (Scalar::I32, Ty::V(self.lanes, Scalar::I32)),
        };
        let pairs = Ty::V(2 * self.lanes, Scalar::Bf16);
        let columns: Vec<Val> = (0..self.panel)
            .map(|v| {
                let offset = f.i64(i64::from(self.lanes) * (u * i64::from(self.panel) + i64::from(v)));
                let p = f.gep(row, offset, scalar);
                let column = f.load(p, vector);
                match self.multiply {
                    Multiply::Floats => column,
                    Multiply::Pairs(_) => f.bitcast(column, pairs),
                }
            })
            .collect();
        let mut next = Vec::with_capacity(sums.len());
        for (a, sums) in a_rows.iter().zip(sums.chunks(self.panel as usize)) {
            let p = f.gep(*a, i, Scalar::F32);
            let offset = f.i64(u);
            let p = f.gep(p, offset, scalar);
            let x = f.load(p, Ty::S(scalar));
            let x = f.splat(x, self.lanes);
            for (column, sum) in columns.iter().zip(sums) {
                next.push(match self.multiply {
                    Multiply::Floats => f.fma(x, *column, *sum),
                    Multiply::Pairs(dot) => {
                        let x = f.bitcast(x, pairs);
                        dot(f, *sum, *column, x)
                    }
                });
            }
        }
        next
    }
}
