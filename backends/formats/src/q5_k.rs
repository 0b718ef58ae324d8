//! `q5_k`: 256 weights in 176 bytes: as `q4_k` with a fifth bit.

use crate::{
    block::{Bits, Block, Factors, Groups},
    facts::Facts,
    unpack::{each_block, half, long_nibble, six_bits},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q5_k", 13, 256, 176, &BLOCK)
};

const BLOCK: Block = Block {
    high: Some(Bits {
        start: 16,
        bits: 1,
        run: 32,
    }),
    minimum: Some(2),
    groups: Some(Groups {
        size: 32,
        start: 4,
        factors: Factors::SixBits,
    }),
    ..Block::scaled(Bits {
        start: 48,
        bits: 4,
        run: 32,
    })
};

fn weights(block: &[u8; 176]) -> [f32; 256] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| {
        let (scale, min) = six_bits(&block[4..16], i / 32);
        let high = (block[16 + i % 32] >> (i / 32) & 1) << 4;
        d * scale * f32::from(long_nibble(&block[48..], i) | high) - m * min
    })
}
