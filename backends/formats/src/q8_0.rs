//! `q8_0`: 32 weights in 34 bytes: f16 `d`, 32 signed bytes; `w = d * q`.

use crate::{
    facts::{Facts, Use},
    native::Native,
    unpack::{each_block, half},
};

pub(crate) const FACTS: Facts = Facts {
    usage: Use::Native(Native::Q8_0),
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::ggml("q8_0", 8, 32, 34)
};

fn weights(block: &[u8; 34]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * f32::from(block[2 + i] as i8))
}
