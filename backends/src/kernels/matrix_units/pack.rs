//! Packing a panel of weights for matrix units.

use super::{LANES, Parts, ROWS, SUMMED, numbers};
use crate::{
    kernel::{Func, Module, Scalar, Ty, Val},
    kernels::pack,
    targets::{MatrixUnits, TargetInfo},
};
use seqc_formats::Encoding;

/// Columns that are packed at once: as many as the longest blocks have.
pub(crate) const STAGED: usize = 256;

/// Columns of which all parts take no more memory than so many of f32, a multiple of all blocks.
pub(crate) fn columns(of_floats: usize, weights: Parts) -> usize {
    let fit = size_of::<f32>() * of_floats / (size_of::<u16>() * weights.count());
    (fit / STAGED * STAGED).clamp(STAGED, of_floats)
}

/// Adds the packing kernel for panels of `panel` vectors; returns its name.
///
/// `fn(w, row_bytes, rows, k0, kc, out, stage)` writes words with two weights of columns that are neighbours, as [`super::Lane::of_weights`] says: for every 16
/// columns from `k0` on, every 16 rows of the panel and each part of numbers 128 words. Weights beyond `rows` and beyond `k0 + kc` are zero. `k0` is a
/// multiple of the block; `stage` has room for [`STAGED`] columns of the panel as f32.
pub(crate) fn pack_fragments(
    module: &mut Module,
    target: &TargetInfo,
    units: MatrixUnits,
    encoding: Encoding,
    panel: u32,
) -> String {
    let name = format!("seqc_pack_fragments_{}x{panel}", encoding.name());
    if module.has(&name) {
        return name;
    }
    let plain = pack::pack(module, target, encoding, panel);
    let types = [Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64, Ty::I64, Ty::SCRATCH, Ty::SCRATCH];
    let mut f = Func::new(&name, &types, None);
    let pack = Pack {
        plain,
        units,
        parts: Parts::of(encoding),
        width: (panel * target.machine.lanes) as usize,
    };
    let (zero, kc) = (f.i64(0), f.param(4));
    f.for_each(zero, kc, STAGED as i64, |f, k| pack.columns(f, k));
    module.add(f);
    name
}

struct Pack {
    plain: String,
    units: MatrixUnits,
    parts: Parts,
    /// Rows of the panel.
    width: usize,
}

impl Pack {
    /// Columns from `k0 + k` on.
    fn columns(&self, f: &mut Func, k: Val) {
        let [w, row_bytes, rows, k0, kc, _, stage] = [0, 1, 2, 3, 4, 5, 6].map(|n| f.param(n));
        let (left, most) = (f.sub(kc, k), f.i64(STAGED as i64));
        let count = f.min(left, most);
        let first = f.add(k0, k);
        f.call(&self.plain, &[w, row_bytes, rows, first, count, stage], None);
        let summed = f.i64(SUMMED as i64);
        let steps = f.ceil_div(count, summed);
        let end = f.mul(steps, summed);
        let width = f.i64(self.width as i64);
        let none = f.zero(Ty::V(ROWS as u32, Scalar::F32));
        f.for_each(count, end, 1, |f, column| {
            let before = f.mul(column, width);
            let row = f.gep(stage, before, Scalar::F32);
            for at in (0..self.width).step_by(ROWS) {
                let at = f.i64(at as i64);
                let p = f.gep(row, at, Scalar::F32);
                f.store(none, p);
            }
        });
        let first = f.udiv(k, summed);
        let zero = f.i64(0);
        f.for_each(zero, steps, 1, |f, step| self.step(f, first, step));
    }

    /// Sixteen staged columns.
    fn step(&self, f: &mut Func, first: Val, step: Val) {
        let (out, stage) = (f.param(5), f.param(6));
        let staged = f.i64((SUMMED * self.width) as i64);
        let from = f.mul(step, staged);
        let from = f.gep(stage, from, Scalar::F32);
        let words = f.i64((self.width / ROWS * self.parts.count() * LANES) as i64);
        let to = f.add(first, step);
        let to = f.mul(to, words);
        let to = f.gep(out, to, Scalar::I32);
        let all = f.int(Ty::V(LANES as u32, Scalar::I1), 1);
        for tile in 0..self.width / ROWS {
            let pair = [0, 1].map(|next| {
                let at = numbers(f, LANES, |lane| {
                    let [row, column] = lane.of_weights();
                    (column + next) * self.width + ROWS * tile + row
                });
                let places = f.gep(from, at, Scalar::F32);
                f.gather(places, all, Scalar::F32)
            });
            for (part, words) in self.parts.split(f, self.units, pair).into_iter().enumerate() {
                let at = f.i64(((tile * self.parts.count() + part) * LANES) as i64);
                let p = f.gep(to, at, Scalar::I32);
                f.store(words, p);
            }
        }
    }
}
