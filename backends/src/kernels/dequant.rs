//! Reading and writing numbers that are stored by themselves as f32 vectors.

use super::layout::Plain;
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};

/// The `f32` of an IEEE half in a 16-bit integer (or of each lane).
pub(super) fn half_to_float(f: &mut Func, bits: Val) -> Val {
    let half = f.bitcast(bits, bits.ty.with(Scalar::F16));
    f.convert(Cast::FloatExtend, half, Scalar::F32)
}

/// Bytes `e`, widened, as `2^(e - 128)`: below the normal numbers, too.
pub(super) fn power_to_float(f: &mut Func, e: Val) -> Val {
    let [one, two, places, tiny] = [1, 2, 23, 0x0020_0000].map(|n| f.int(e.ty, n));
    let below = f.min(e, one);
    let below = f.shl(tiny, below);
    let exponent = f.sub(e, one);
    let normal = f.shl(exponent, places);
    let is_below = f.cmp(Cmp::Lt, e, two);
    let bits = f.select(is_below, below, normal);
    f.bitcast(bits, e.ty.with(Scalar::F32))
}

/// The `f32` of a bfloat16 in a 16-bit integer (or of each lane).
pub(super) fn bf16_to_float(f: &mut Func, bits: Val) -> Val {
    let wide = f.convert(Cast::ZeroExtend, bits, Scalar::I32);
    let places = f.int(wide.ty, 16);
    let wide = f.shl(wide, places);
    f.bitcast(wide, wide.ty.with(Scalar::F32))
}

/// The bfloat16 nearest to an `f32` (or to each lane), ties to even, in a 16-bit integer.
fn float_to_bf16(f: &mut Func, value: Val) -> Val {
    let bits = f.bitcast(value, value.ty.with(Scalar::I32));
    let [places, one, half, quiet] = [16, 1, 0x7fff, 0x40].map(|n| f.int(bits.ty, n));
    let upper = f.shr(bits, places);
    let odd = f.and(upper, one);
    let rounded = f.add(bits, half);
    let rounded = f.add(rounded, odd);
    let rounded = f.shr(rounded, places);
    // What is no number stays none.
    let nan = f.or(upper, quiet);
    let is_nan = f.cmp(Cmp::Ne, value, value);
    let nearest = f.select(is_nan, nan, rounded);
    f.convert(Cast::Truncate, nearest, Scalar::I16)
}

/// `lanes` consecutive weights that are stored by themselves; with a mask, the lanes outside are zero and not read.
pub(super) fn plain_vector(f: &mut Func, plain: Plain, ptr: Val, lanes: u32, mask: Option<Val>) -> Val {
    let ty = Ty::V(lanes, plain.scalar());
    let raw = match mask {
        None => f.load(ptr, ty),
        Some(mask) => f.masked_load(ptr, mask, ty),
    };
    plain_floats(f, plain, raw)
}

/// Numbers that were loaded as [`Plain::scalar`].
pub(super) fn plain_floats(f: &mut Func, plain: Plain, raw: Val) -> Val {
    match plain {
        Plain::F32 => raw,
        Plain::F16 => half_to_float(f, raw),
        Plain::Bf16 => bf16_to_float(f, raw),
    }
}

/// A float, or a vector of them, as the nearest numbers that are stored by themselves.
pub(super) fn float_to_plain(f: &mut Func, plain: Plain, value: Val) -> Val {
    match plain {
        Plain::F32 => value,
        Plain::F16 => {
            let half = f.convert(Cast::FloatTruncate, value, Scalar::F16);
            f.bitcast(half, half.ty.with(Scalar::I16))
        }
        Plain::Bf16 => float_to_bf16(f, value),
    }
}

/// Pointer to byte `offset` (a constant) behind `ptr`.
pub(super) fn byte(f: &mut Func, ptr: Val, offset: i64) -> Val {
    let offset = f.i64(offset);
    f.gep(ptr, offset, Scalar::I8)
}
