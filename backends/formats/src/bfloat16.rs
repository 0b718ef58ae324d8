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
    decode: Some(|bytes, out| each(bytes, out, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
};

/// The bfloat16 nearest below in magnitude.
pub fn to_bf16(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}
