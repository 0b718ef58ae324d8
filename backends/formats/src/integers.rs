//! Whole numbers and truth values, the types of token ids, positions and masks.

use crate::{
    facts::{Decode, Facts, Use},
    unpack::each,
};

/// An integer of `bytes` bytes; files name the unsigned ones by themselves, GGUF has none.
const fn integer(name: &'static str, bytes: usize, safetensors: &'static str, decode: Decode) -> Facts {
    Facts {
        name,
        usage: Use::Integers,
        block: 1,
        block_bytes: bytes,
        ggml: None,
        safetensors: Some(safetensors),
        decode: Some(decode),
    }
}

pub(crate) const I64: Facts = Facts {
    ggml: Some(27),
    ..integer("i64", 8, "I64", |bytes, out| {
        each(bytes, out, |b| i64::from_le_bytes(b) as f32)
    })
};

pub(crate) const I32: Facts = Facts {
    ggml: Some(26),
    ..integer("i32", 4, "I32", |bytes, out| {
        each(bytes, out, |b| i32::from_le_bytes(b) as f32)
    })
};

pub(crate) const I16: Facts = Facts {
    ggml: Some(25),
    ..integer("i16", 2, "I16", |bytes, out| {
        each(bytes, out, |b| f32::from(i16::from_le_bytes(b)))
    })
};

pub(crate) const I8: Facts = Facts {
    ggml: Some(24),
    ..integer("i8", 1, "I8", |bytes, out| each(bytes, out, |[b]| f32::from(b as i8)))
};

pub(crate) const U64: Facts = integer("u64", 8, "U64", |bytes, out| {
    each(bytes, out, |b| u64::from_le_bytes(b) as f32)
});

pub(crate) const U32: Facts = integer("u32", 4, "U32", |bytes, out| {
    each(bytes, out, |b| u32::from_le_bytes(b) as f32)
});

pub(crate) const U16: Facts = integer("u16", 2, "U16", |bytes, out| {
    each(bytes, out, |b| f32::from(u16::from_le_bytes(b)))
});

pub(crate) const U8: Facts = integer("u8", 1, "U8", |bytes, out| each(bytes, out, |[b]| f32::from(b)));

pub(crate) const BOOL: Facts = integer("bool", 1, "BOOL", |bytes, out| {
    each(bytes, out, |[b]| f32::from(b != 0))
});
