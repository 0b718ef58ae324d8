//! What is not finite in a long convolution: it makes the results that the filter takes it to NaN, and no others.
//!
//! Transforms would spread it over whole blocks, so that nothing but zeros gets there in its place. For each channel the
//! state keeps the position up to which results are NaN.

use super::{rows::vector, variant::LongConv};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val},
    kernels::finite::{all_finite, note},
};

/// `x` with zeros in place of what is not finite; and `found`, bits that are those of NaN or infinity once there was some.
pub(super) fn finite(f: &mut Func, x: Val, found: Val) -> (Val, Val) {
    let zero = f.zero(x.ty);
    // Zero times what is not finite is no number.
    let product = f.mul(x, zero);
    let wrong = f.cmp(Cmp::Ne, product, zero);
    let found = note(f, x, found);
    (f.select(wrong, zero, x), found)
}

/// Whether results from position `low` on may be NaN, by what was found at their tokens or is kept of those before.
pub(super) fn some(f: &mut Func, nan_until: Val, low: Val, found: Val) -> Val {
    let finite = all_finite(f, found);
    let here = f.not(finite);
    let until = f.load(nan_until, found.ty);
    let low = at(f, low, found.ty);
    let left = f.sub(until, low);
    let left = f.convert(Cast::SignedToFloat, left, Scalar::F32);
    let (left, zero) = (f.reduce_max(left), f.f32(0.0));
    let before = f.cmp(Cmp::Gt, left, zero);
    f.or(here, before)
}

/// A position in all lanes.
fn at(f: &mut Func, position: Val, ty: Ty) -> Val {
    let position = f.convert(Cast::Truncate, position, Scalar::I32);
    f.splat(position, ty.lanes())
}

/// Adds `fn(u, u_stride, out, out_stride, nan_until, low, high, columns)` for tokens `low..high` of a panel, whose rows
/// begin at `u` and `out`; returns its name.
pub(super) fn function(conv: &LongConv, module: &mut Module) -> String {
    let name = format!("{}_nan_results", conv.name);
    let params = [
        Ty::GLOBAL,
        Ty::I64,
        Ty::GLOBAL,
        Ty::I64,
        Ty::GLOBAL,
        Ty::I64,
        Ty::I64,
        Ty::I64,
    ];
    let mut f = Func::new(&name, &params, None);
    let [u, u_stride, out, out_stride, nan_until, low, high, columns] = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| f.param(n));
    let (ty, one) = (vector(conv.lanes()), f.i64(1));
    let positions = ty.with(Scalar::I32);
    let mask = f.tail_mask(columns, conv.lanes());
    let (taps, nan) = (f.i64(conv.blocks.taps as i64), f.float(ty, f32::NAN));
    let before = f.load(nan_until, positions);
    let until = f.for_loop(low..high, one, &[before], |f, token, until| {
        let t = f.sub(token, low);
        let row = |f: &mut Func, base: Val, stride: Val| {
            let at = f.mul(t, stride);
            f.gep(base, at, Scalar::F32)
        };
        let p = row(f, u, u_stride);
        let x = f.masked_load(p, mask, ty);
        let zero = f.zero(ty);
        let product = f.mul(x, zero);
        let wrong = f.cmp(Cmp::Ne, product, zero);
        let end = f.add(token, taps);
        let end = at(f, end, positions);
        let until = f.select(wrong, end, until[0]);
        let token = at(f, token, positions);
        let reached = f.cmp(Cmp::Gt, until, token);
        let p = row(f, out, out_stride);
        let y = f.masked_load(p, mask, ty);
        let y = f.select(reached, nan, y);
        f.masked_store(y, p, mask);
        vec![until]
    });
    f.store(until[0], nan_until);
    module.add(f);
    name
}
