//! `q5_0`: 32 weights in 22 bytes: f16 `d`, 32 high bits, 16 bytes of nibbles; `w = d * (q - 16)`.

use crate::{
    block::{Bits, Block},
    facts::Facts,
    unpack::{each_block, fifth_bit, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q5_0", 6, 32, 22, &BLOCK)
};

const BLOCK: Block = Block {
    high: Some(Bits {
        start: 2,
        bits: 1,
        run: 1,
    }),
    offset: -16,
    ..Block::scaled(Bits {
        start: 6,
        bits: 4,
        run: 16,
    })
};

fn weights(block: &[u8; 22]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[6..], i) | fifth_bit(&block[2..], i)) - 16.0))
}
