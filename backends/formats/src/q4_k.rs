//! `q4_k`: 256 weights in 144 bytes: eight groups of 4-bit weights with 6-bit scales and minima.

use crate::{
    block::{Bits, Block, Factors, Groups},
    facts::Facts,
    unpack::{each_block, half, long_nibble, six_bits},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q4_k", 12, 256, 144, &BLOCK)
};

const BLOCK: Block = Block {
    minimum: Some(2),
    groups: Some(Groups {
        size: 32,
        start: 4,
        factors: Factors::SixBits,
    }),
    ..Block::scaled(Bits {
        start: 16,
        bits: 4,
        run: 32,
    })
};

fn weights(block: &[u8; 144]) -> [f32; 256] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| {
        let (scale, min) = six_bits(&block[4..16], i / 32);
        d * scale * f32::from(long_nibble(&block[16..], i)) - m * min
    })
}
