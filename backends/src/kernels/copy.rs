//! Decoding and copying of single rows.

use super::{
    block_rows::BlockRows,
    dequant::{byte, plain_vector},
    layout::Plain,
    strips::{Strips, Weights},
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    targets::TargetInfo,
};
use seqc_formats::Encoding;

/// Name of the function that [`row`] adds.
pub fn row_name(encoding: Encoding) -> String {
    format!("seqc_row_{}", encoding.name())
}

/// Adds `fn(w, n, out)`: the `n` weights at `w` as f32. For block stores `n` is a multiple of their block. Returns its name.
pub fn row(module: &mut Module, target: &TargetInfo, encoding: Encoding) -> String {
    let name = row_name(encoding);
    if module.has(&name) {
        return name;
    }
    let lanes = target.machine.lanes;
    let mut f = Func::new(&name, &[Ty::GLOBAL, Ty::I64, Ty::GLOBAL], None);
    let (w, n, out) = (f.param(0), f.param(1), f.param(2));
    match Weights::new(&mut f, target, encoding, 1) {
        Weights::Blocks(strips) => blocks(&mut f, &strips, encoding),
        Weights::Plain(plain) => vectors(&mut f, n, lanes, |f, k, mask| {
            let size = f.i64(encoding.block_bytes() as i64);
            let at = f.mul(k, size);
            let source = f.gep(w, at, Scalar::I8);
            let v = plain_vector(f, plain, source, lanes, mask);
            let target = f.gep(out, k, Scalar::F32);
            put(f, v, target, mask);
        }),
    }
    module.add(f);
    name
}

/// The body of [`row`] for blocks.
fn blocks(f: &mut Func, strips: &Strips<'_>, encoding: Encoding) {
    let (w, n, out) = (f.param(0), f.param(1), f.param(2));
    let (zero, per_block) = (f.i64(0), f.i64(encoding.block() as i64));
    let bytes = f.i64(encoding.block_bytes() as i64);
    f.for_each(zero, n, encoding.block() as i64, |f, k| {
        let index = f.udiv(k, per_block);
        let at = f.mul(index, bytes);
        let rows = BlockRows {
            first: f.gep(w, at, Scalar::I8),
            stride: zero,
            count: 1,
            valid: None,
        };
        let to = f.gep(out, k, Scalar::F32);
        strips.each(f, &rows, &[], |f, column, weights, _| {
            let to = f.gep(to, column, Scalar::F32);
            for (i, v) in weights[0].iter().enumerate() {
                let p = byte(f, to, 4 * i as i64 * i64::from(v.ty.lanes()));
                f.store(*v, p);
            }
            Vec::new()
        });
    });
}

/// Name of the function that [`copy`] adds.
pub const COPY: &str = "seqc_copy";

/// Adds `fn(from, to, n)`, which is named [`COPY`]: copies `n` floats.
pub fn copy(module: &mut Module, lanes: u32) {
    if module.has(COPY) {
        return;
    }
    let mut f = Func::new(COPY, &[Ty::GENERIC, Ty::GENERIC, Ty::I64], None);
    let (from, to, n) = (f.param(0), f.param(1), f.param(2));
    vectors(&mut f, n, lanes, |f, k, mask| {
        let (source, target) = (f.gep(from, k, Scalar::F32), f.gep(to, k, Scalar::F32));
        let v = plain_vector(f, Plain::F32, source, lanes, mask);
        put(f, v, target, mask);
    });
    module.add(f);
}

fn put(f: &mut Func, v: Val, p: Val, mask: Option<Val>) {
    match mask {
        Some(mask) => f.masked_store(v, p, mask),
        None => f.store(v, p),
    }
}

/// Whole vectors of `0..n`, then the rest under a mask.
fn vectors(f: &mut Func, n: Val, lanes: u32, body: impl Fn(&mut Func, Val, Option<Val>)) {
    let (zero, step) = (f.i64(0), f.i64(i64::from(lanes)));
    let rest = f.urem(n, step);
    let whole = f.sub(n, rest);
    f.for_each(zero, whole, i64::from(lanes), |f, k| body(f, k, None));
    let some = f.cmp(Cmp::Gt, rest, zero);
    f.if_then(some, |f| {
        let mask = f.tail_mask(rest, lanes);
        body(f, whole, Some(mask));
    });
}
