//! Rounding a row.

use super::{Record, RowForm};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Unary, Val},
    kernels::{
        dequant::{bf16_to_float, byte, float_to_plain},
        lanes::fold,
        layout::{Plain, STRIP},
    },
    targets::TargetInfo,
};
use seqc_ir::Rounding;

/// Below this no block is rounded but made zeros: the inverse of its scale would not be finite.
const LEAST: f32 = 1e-35;
/// Integers of the smaller groups that weights have.
const HALF: u32 = STRIP / 2;

/// Name of the function that [`round_row`] adds.
pub fn round_row_name(rounding: Rounding, form: RowForm) -> String {
    format!("seqc_round_{}_{}", rounding.name(), form.name())
}

/// Adds the function that rounds a row; returns its name.
///
/// `fn(x, n, out)`: `n` floats, a multiple of the rounding's block. `out` may be `x`.
pub fn round_row(module: &mut Module, target: &TargetInfo, rounding: Rounding, form: RowForm) -> String {
    let name = round_row_name(rounding, form);
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &[Ty::GENERIC, Ty::I64, Ty::GENERIC], None);
    let row = Row {
        lanes: target.machine.lanes,
        form,
    };
    match rounding {
        Rounding::Int8 => {
            let (zero, n) = (f.i64(0), f.param(1));
            f.for_each(zero, n, STRIP.into(), |f, k| row.block(f, k));
        }
        Rounding::Bf16 => row.halves(&mut f),
    }
    module.add(f);
    name
}

struct Row {
    lanes: u32,
    form: RowForm,
}

impl Row {
    /// The block of integers at column `k`.
    fn block(&self, f: &mut Func, k: Val) {
        let from = f.gep(f.param(0), k, Scalar::F32);
        let vector = Ty::V(self.lanes, Scalar::F32);
        let load = |at: u32| {
            let p = byte(f, from, i64::from(4 * at));
            f.load(p, vector)
        };
        let x: Vec<Val> = (0..STRIP).step_by(self.lanes as usize).map(load).collect();
        let sizes: Vec<Val> = x.iter().map(|x| f.unary(Unary::Abs, *x)).collect();
        let largest = fold(f, &sizes, |f, a, b| f.max_number(a, b));
        let largest = f.reduce_max(largest);
        let (most, least, zero) = (f.f32(Rounding::LARGEST as f32), f.f32(LEAST), f.f32(0.0));
        let scale = f.div(largest, most);
        let inverse = f.div(most, largest);
        let tiny = f.cmp(Cmp::Lt, largest, least);
        let (scale, inverse) = (f.select(tiny, zero, scale), f.select(tiny, zero, inverse));
        // What is not finite times zero is NaN, and so is the scale of its block then.
        let none = f.zero(vector);
        let nothing = x.iter().fold(none, |sum, x| f.fma(*x, none, sum));
        let nothing = f.reduce_add(nothing);
        let scale = f.add(scale, nothing);
        let inverse = f.splat(inverse, self.lanes);
        let nearest = |x: &Val| {
            let q = f.mul(*x, inverse);
            f.unary(Unary::RoundEven, q)
        };
        let q: Vec<Val> = x.iter().map(nearest).collect();
        match self.form {
            RowForm::Bytes => self.record(f, k, &q, scale),
            RowForm::Floats | RowForm::Pairs => {
                let to = f.gep(f.param(2), k, Scalar::F32);
                let scale = f.splat(scale, self.lanes);
                for (v, q) in q.iter().enumerate() {
                    let x = f.mul(*q, scale);
                    let p = byte(f, to, 4 * v as i64 * i64::from(self.lanes));
                    f.store(x, p);
                }
            }
        }
    }

    /// Writes the record of a block.
    fn record(&self, f: &mut Func, k: Val, q: &[Val], scale: Val) {
        let two = f.i64(RowForm::Bytes.columns());
        let at = f.udiv(k, two);
        let to = f.gep(f.param(2), at, Scalar::F32);
        let integers: Vec<Val> = q
            .iter()
            .map(|q| f.convert(Cast::FloatToSigned, *q, Scalar::I32))
            .collect();
        for (v, q) in integers.iter().enumerate() {
            let bytes = f.convert(Cast::Truncate, *q, Scalar::I8);
            let p = byte(f, to, v as i64 * i64::from(self.lanes));
            f.store(bytes, p);
        }
        let p = byte(f, to, Record::SCALE);
        f.store(scale, p);
        let halves: Vec<Val> = integers
            .chunks((HALF / self.lanes) as usize)
            .map(|part| {
                let sum = fold(f, part, |f, a, b| f.add(a, b));
                f.reduce_add(sum)
            })
            .collect();
        let whole = f.add(halves[0], halves[1]);
        for (group, number, sum) in [(STRIP, 0, whole), (HALF, 0, halves[0]), (HALF, 1, halves[1])] {
            let bias = f.int(sum.ty, -Record::BIAS);
            let start = f.mul(sum, bias);
            let p = byte(f, to, Record::start(group, number));
            f.store(start, p);
            let real = f.convert(Cast::SignedToFloat, sum, Scalar::F32);
            let real = f.mul(real, scale);
            let p = byte(f, to, Record::sum(group, number));
            f.store(real, p);
        }
    }

    /// All numbers to bfloat16.
    fn halves(&self, f: &mut Func) {
        let n = f.param(1);
        let (zero, lanes, one) = (f.i64(0), f.i64(self.lanes.into()), f.i64(1));
        let rest = f.urem(n, lanes);
        let whole = f.sub(n, rest);
        f.for_each(zero, whole, self.lanes.into(), |f, k| {
            self.half(f, k, Ty::V(self.lanes, Scalar::F32));
        });
        f.for_each(whole, n, 1, |f, k| self.half(f, k, Ty::F32));
        if self.form == RowForm::Pairs {
            let odd = f.and(n, one);
            let odd = f.cmp(Cmp::Ne, odd, zero);
            f.if_then(odd, |f| {
                let none = f.zero(Ty::S(Scalar::I16));
                let p = f.gep(f.param(2), n, Scalar::I16);
                f.store(none, p);
            });
        }
    }

    fn half(&self, f: &mut Func, k: Val, ty: Ty) {
        let from = f.gep(f.param(0), k, Scalar::F32);
        let x = f.load(from, ty);
        let bits = float_to_plain(f, Plain::Bf16, x);
        if self.form == RowForm::Pairs {
            let p = f.gep(f.param(2), k, Scalar::I16);
            return f.store(bits, p);
        }
        let x = bf16_to_float(f, bits);
        let p = f.gep(f.param(2), k, Scalar::F32);
        f.store(x, p);
    }
}
