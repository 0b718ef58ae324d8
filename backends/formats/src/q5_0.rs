//! `q5_0`: 32 weights in 22 bytes: f16 `d`, 32 high bits, 16 bytes of nibbles; `w = d * (q - 16)`.

use crate::{
    facts::Facts,
    unpack::{each_block, fifth_bit, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::ggml("q5_0", 6, 32, 22)
};

fn weights(block: &[u8; 22]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[6..], i) | fifth_bit(&block[2..], i)) - 16.0))
}
