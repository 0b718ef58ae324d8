//! `f16`: IEEE binary16, by itself and as the scale of a block.

use crate::{
    facts::{Facts, Use},
    half::from_f16,
    native::Native,
    unpack::each,
};

pub(crate) const FACTS: Facts = Facts {
    name: "f16",
    usage: Use::Native(Native::F16),
    block: 1,
    block_bytes: 2,
    ggml: Some(1),
    safetensors: Some("F16"),
    decode: Some(|bytes, out| each(bytes, out, |b| from_f16(u16::from_le_bytes(b)))),
};
