//! `f32`: IEEE binary32, what everything else is decoded to.

use crate::{
    facts::{Facts, Use},
    native::Native,
    unpack::each,
};

pub(crate) const FACTS: Facts = Facts {
    name: "f32",
    usage: Use::Native(Native::F32),
    block: 1,
    block_bytes: 4,
    ggml: Some(0),
    safetensors: Some("F32"),
    decode: Some(|bytes, out| each(bytes, out, f32::from_le_bytes)),
};
