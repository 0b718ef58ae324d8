//! `bf16`: the upper half of a binary32.

use crate::{
    facts::{Facts, Use},
    native::Native,
    unpack::each,
};

pub(crate) const FACTS: Facts = Facts {
    name: "bf16",
    usage: Use::Native(Native::Bf16),
    block: 1,
    block_bytes: 2,
    ggml: Some(30),
    safetensors: Some("BF16"),
    decode: Some(|bytes, out| each(bytes, out, |b| from_bf16(u16::from_le_bytes(b)))),
};

/// bfloat16 to binary32, exactly.
pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bfloat16 nearest to a number, ties to even.
pub fn nearest_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The bfloat16 nearest below in magnitude.
pub fn to_bf16(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}
