//! `q5_1`: 32 weights in 24 bytes: f16 `d` and `m`, 32 high bits, 16 bytes of nibbles; `w = d * q + m`.

use crate::{
    facts::Facts,
    unpack::{each_block, fifth_bit, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::ggml("q5_1", 7, 32, 24)
};

fn weights(block: &[u8; 24]) -> [f32; 32] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[8..], i) | fifth_bit(&block[4..], i)) + m)
}
