//! Operations on single lanes: the bits of a scalar in the low bits of a word.

use crate::{Binary, Cast, Cmp, Scalar, Unary};
use seqc_formats::{nearest_bf16, nearest_f16};

/// The bits that a scalar has.
pub(super) fn low_bits(scalar: Scalar, word: u64) -> u64 {
    match scalar {
        Scalar::I1 => word & 1,
        Scalar::I8 => word & 0xFF,
        Scalar::I16 | Scalar::F16 | Scalar::Bf16 => word & 0xFFFF,
        Scalar::I32 | Scalar::F32 => word & 0xFFFF_FFFF,
        Scalar::I64 => word,
    }
}

/// The signed integer of a word.
pub(super) fn signed(scalar: Scalar, word: u64) -> i64 {
    match scalar {
        Scalar::I1 => -((word & 1) as i64),
        Scalar::I8 => i64::from(word as i8),
        Scalar::I16 | Scalar::F16 | Scalar::Bf16 => i64::from(word as i16),
        Scalar::I32 | Scalar::F32 => i64::from(word as i32),
        Scalar::I64 => word as i64,
    }
}

/// The float of a word.
pub(super) fn float(word: u64) -> f32 {
    f32::from_bits(word as u32)
}

/// The word of a float.
pub(super) fn word(x: f32) -> u64 {
    u64::from(x.to_bits())
}

pub(super) fn unary(op: Unary, a: u64) -> u64 {
    let x = float(a);
    word(match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sqrt => x.sqrt(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::RoundEven => x.round_ties_even(),
    })
}

/// An operation on two lanes; fails where the result is of no meaning.
pub(super) fn binary(op: Binary, scalar: Scalar, a: u64, b: u64) -> Result<u64, String> {
    if scalar.is_float() {
        return Ok(word(floats(op, float(a), float(b))));
    }
    let (x, y) = (signed(scalar, a), signed(scalar, b));
    let width = if scalar == Scalar::I1 {
        1
    } else {
        8 * scalar.bytes() as u64
    };
    let divides = matches!(
        op,
        Binary::Div | Binary::Rem | Binary::UnsignedDiv | Binary::UnsignedRem
    );
    if divides && b == 0 {
        return Err("divides by zero".to_owned());
    }
    if matches!(op, Binary::Shl | Binary::Shr | Binary::ShrSigned) && b >= width {
        return Err(format!("shifts {width} bits by {b}"));
    }
    let result = match op {
        Binary::Add => x.wrapping_add(y) as u64,
        Binary::Sub => x.wrapping_sub(y) as u64,
        Binary::Mul => x.wrapping_mul(y) as u64,
        Binary::Div => x.wrapping_div(y) as u64,
        Binary::Rem => x.wrapping_rem(y) as u64,
        Binary::UnsignedDiv => a / b,
        Binary::UnsignedRem => a % b,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Shl => a << b,
        Binary::Shr => a >> b,
        Binary::ShrSigned => (x >> b) as u64,
        Binary::MaxNumber | Binary::MinNumber | Binary::CopySign => return Err("is of floats".to_owned()),
    };
    Ok(low_bits(scalar, result))
}

/// Bits of integers have no meaning for floats: the verifier refuses such.
fn floats(op: Binary, x: f32, y: f32) -> f32 {
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div => x / y,
        Binary::MaxNumber => x.max(y),
        Binary::MinNumber => x.min(y),
        Binary::CopySign => x.copysign(y),
        Binary::Rem
        | Binary::UnsignedDiv
        | Binary::UnsignedRem
        | Binary::And
        | Binary::Or
        | Binary::Xor
        | Binary::Shl
        | Binary::Shr
        | Binary::ShrSigned => f32::NAN,
    }
}

pub(super) fn compare(cmp: Cmp, scalar: Scalar, a: u64, b: u64) -> u64 {
    let holds = if scalar.is_float() {
        ordered(cmp, &float(a), &float(b))
    } else {
        ordered(cmp, &signed(scalar, a), &signed(scalar, b))
    };
    u64::from(holds)
}

/// NaN fails all but `Ne`.
fn ordered<T: PartialOrd>(cmp: Cmp, a: &T, b: &T) -> bool {
    match cmp {
        Cmp::Lt => a < b,
        Cmp::Le => a <= b,
        Cmp::Gt => a > b,
        Cmp::Ge => a >= b,
        Cmp::Eq => a == b,
        Cmp::Ne => a != b,
    }
}

pub(super) fn cast(op: Cast, from: Scalar, to: Scalar, a: u64) -> u64 {
    match op {
        Cast::SignExtend => low_bits(to, signed(from, a) as u64),
        Cast::ZeroExtend => a,
        Cast::Truncate => low_bits(to, a),
        Cast::SignedToFloat => word(signed(from, a) as f32),
        Cast::UnsignedToFloat => word(a as f32),
        Cast::FloatToSigned => {
            let (x, width) = (f64::from(float(a)).trunc(), 8 * to.bytes() as i32);
            let end = 2_f64.powi(width - 1);
            // What does not fit, and NaN, becomes the least integer, as on x86.
            let fits = x >= -end && x < end;
            low_bits(to, if fits { x as i64 as u64 } else { 1 << (width - 1) })
        }
        Cast::FloatExtend if from == Scalar::Bf16 => a << 16,
        Cast::FloatExtend => word(half(a as u16)),
        Cast::FloatTruncate if to == Scalar::Bf16 => u64::from(nearest_bf16(float(a))),
        Cast::FloatTruncate => u64::from(nearest_f16(float(a))),
    }
}

/// The float of an IEEE half.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// `p * 2^floor(n)` in one rounding.
pub(super) fn scale_by_power(p: f32, n: f32) -> f32 {
    let (up, down) = (n == f32::INFINITY, n == f32::NEG_INFINITY);
    if n.is_nan() || (up && p == 0.0) || (down && p.is_infinite()) {
        return f32::NAN;
    }
    // Beyond these powers every float but zero is infinite or zero, and the product is exact in double precision.
    let power = n.floor().clamp(-600.0, 600.0) as i32;
    (f64::from(p) * 2_f64.powi(power)) as f32
}
