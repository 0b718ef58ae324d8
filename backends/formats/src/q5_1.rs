//! `q5_1`: 32 weights in 24 bytes: f16 `d` and `m`, 32 high bits, 16 bytes of nibbles; `w = d * q + m`.

use crate::{
    block::{Bits, Block},
    facts::Facts,
    unpack::{each_block, fifth_bit, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q5_1", 7, 32, 24, &BLOCK)
};

const BLOCK: Block = Block {
    high: Some(Bits {
        start: 4,
        bits: 1,
        run: 1,
    }),
    minimum: Some(2),
    ..Block::scaled(Bits {
        start: 8,
        bits: 4,
        run: 16,
    })
};

fn weights(block: &[u8; 24]) -> [f32; 32] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[8..], i) | fifth_bit(&block[4..], i)) + m)
}
