//! A few rows of activations times a matrix, straight from the stored weights: what decoding several sequences at once spends
//! its time on.
//!
//! Lanes are columns, as in [`super::gemv`], so that weights need neither packing nor transposition. Each vector of weights is
//! converted once for a register tile of up to [`TALLEST`] rows of activations.

mod tile;

use super::{
    gemv::gemv_name,
    product_rows::{GemmRows, ProductRows, Run},
    rounded::RowForm,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar},
    targets::TargetInfo,
};
use seqc_formats::Encoding;
use tile::{PARAMS, Tile, tile_name};

/// Most rows of activations of a register tile.
const TALLEST: i64 = 8;
/// Rows of the register tiles; those between are computed by the next taller one, whose last rows are then one row several times.
const HEIGHTS: [i64; 3] = [2, 4, TALLEST];

/// Name of the function that [`skinny_gemm`] adds.
pub fn skinny_gemm_name(encoding: Encoding, rows: GemmRows) -> String {
    format!("seqc_skinny_gemm_{}{}", encoding.name(), rows.suffix())
}

/// Adds the kernel for one store; returns its name. The module has [`super::gemv`] of that store and floats.
///
/// `fn(w, row_bytes, rows, x, ldx, y, ldy, count, k)` computes `y[t * ldy + r] = sum_k W[r][k] * x[t * ldx + k]` for
/// `r < rows` and `t < count`. `ldx` and `ldy` count floats; for block stores `k` is a multiple of 32. With
/// [`GemmRows::Runs`] it takes `(…, k, runs, run_count, x_gap, y_gap)`, and the runs are all `count` rows.
pub fn skinny_gemm(module: &mut Module, target: &TargetInfo, encoding: Encoding, rows: GemmRows) -> String {
    let name = skinny_gemm_name(encoding, rows);
    if module.has(&name) {
        return name;
    }
    for height in HEIGHTS {
        let height = height as usize;
        let tile = Tile {
            target,
            encoding,
            height,
        };
        tile.add(module);
    }
    let types = [&PARAMS[..], &rows.params()].concat();
    let mut f = Func::new(&name, &types, None);
    let (x, y, count) = ([f.param(3), f.param(4)], [f.param(5), f.param(6)], f.param(7));
    let all = ProductRows::new(&mut f, rows, [x, y], count, PARAMS.len());
    all.each(&mut f, &|f, _, run| tiles(f, encoding, run));
    module.add(f);
    name
}

/// A run of rows by the tallest tiles, then the rest by the least tile that holds it.
fn tiles(f: &mut Func, encoding: Encoding, run: Run) {
    let (zero, tallest) = (f.i64(0), f.i64(TALLEST));
    f.for_each(zero, run.count, TALLEST, |f, t| {
        let left = f.sub(run.count, t);
        let count = f.min(left, tallest);
        let (x, y) = (f.mul(t, run.ldx), f.mul(t, run.ldy));
        let (x, y) = (f.gep(run.x, x, Scalar::F32), f.gep(run.y, y, Scalar::F32));
        let (w, row_bytes, rows, k) = (f.param(0), f.param(1), f.param(2), f.param(8));
        let mut least = 1;
        let mut case = |f: &mut Func, most: i64, call: &dyn Fn(&mut Func)| {
            let (above, up_to) = (f.i64(least), f.i64(most));
            let (above, up_to) = (f.cmp(Cmp::Ge, count, above), f.cmp(Cmp::Le, count, up_to));
            let here = f.and(above, up_to);
            f.if_then(here, |f| call(f));
            least = most + 1;
        };
        case(f, 1, &|f| {
            f.call(
                &gemv_name(encoding, RowForm::Floats),
                &[w, row_bytes, rows, x, k, y],
                None,
            );
        });
        for height in HEIGHTS {
            case(f, height, &|f| {
                let args = [w, row_bytes, rows, x, run.ldx, y, run.ldy, count, k];
                f.call(&tile_name(encoding, height as usize), &args, None);
            });
        }
    });
}
