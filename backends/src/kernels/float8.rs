//! Reading blocks of 32 floats of eight bits behind an f32 scale.
//!
//! They become reals as binary16, by instructions where processors have them; these know numbers below the normal ones, which f32 made of moved bits
//! would lose where such are flushed to zero.

use super::{
    dequant::{byte, half_to_float},
    layout::STRIP,
};
use crate::kernel::{Cast, Func, Scalar, Ty, Val};
use seqc_formats::Float8;

/// The scale of the block at `ptr`, times what makes the reals of [`numbers`] its numbers.
pub(super) fn scale(f: &mut Func, kind: Float8, ptr: Val) -> Val {
    let scale = f.load(ptr, Ty::F32);
    match kind.unit() {
        1.0 => scale,
        unit => {
            let unit = f.float(Ty::F32, unit);
            f.mul(scale, unit)
        }
    }
}

/// The numbers of the block at `ptr` as vectors of so many reals, in order, without their scale.
pub(super) fn numbers(f: &mut Func, kind: Float8, ptr: Val, lanes: u32) -> Vec<Val> {
    let vector = |at: u32| {
        let p = byte(f, ptr, Float8::SCALE_BYTES as i64 + i64::from(at));
        let bytes = f.load(p, Ty::V(lanes, Scalar::I8));
        // The sign fills the upper half, and the place above the exponent with it.
        let wide = f.convert(Cast::SignExtend, bytes, Scalar::I16);
        let places = f.int(wide.ty, kind.places().into());
        let moved = f.shl(wide, places);
        let half = match kind {
            Float8::E5m2 => moved,
            Float8::E4m3 => {
                let mask = f.int(moved.ty, !0x4000);
                f.and(moved, mask)
            }
        };
        half_to_float(f, half)
    };
    (0..STRIP).step_by(lanes as usize).map(vector).collect()
}

/// The weights of the block at `ptr` as vectors of so many reals, in order.
pub(super) fn weights(f: &mut Func, kind: Float8, ptr: Val, lanes: u32) -> Vec<Val> {
    let scale = scale(f, kind, ptr);
    let scale = f.splat(scale, lanes);
    let numbers = numbers(f, kind, ptr, lanes);
    numbers.into_iter().map(|q| f.mul(q, scale)).collect()
}
