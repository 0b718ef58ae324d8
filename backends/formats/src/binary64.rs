//! `f64`: IEEE binary64, rounded to f32 when it is loaded.

use crate::{
    facts::{Facts, Use},
    unpack::each,
};

pub(crate) const FACTS: Facts = Facts {
    name: "f64",
    usage: Use::Converted,
    block: 1,
    block_bytes: 8,
    ggml: Some(28),
    safetensors: Some("F64"),
    decode: Some(|bytes, out| each(bytes, out, |b| f64::from_le_bytes(b) as f32)),
};
