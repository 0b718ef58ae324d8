//! `q2_k`: 256 weights in 84 bytes: sixteen groups of 2-bit weights with 4-bit scales and minima.

use crate::{
    block::{Bits, Block, Factors, Groups},
    facts::Facts,
    unpack::{each_block, half},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q2_k", 10, 256, 84, &BLOCK)
};

const BLOCK: Block = Block {
    scale: 80,
    minimum: Some(82),
    groups: Some(Groups {
        size: 16,
        start: 0,
        factors: Factors::Nibbles,
    }),
    ..Block::scaled(Bits {
        start: 16,
        bits: 2,
        run: 32,
    })
};

fn weights(block: &[u8; 84]) -> [f32; 256] {
    let (d, m) = (half(block, 80), half(block, 82));
    std::array::from_fn(|i| {
        let (factors, part, run) = (block[i / 16], i / 128, i % 128 / 32);
        let q = block[16 + part * 32 + i % 32] >> (2 * run) & 3;
        d * f32::from(factors & 15) * f32::from(q) - m * f32::from(factors >> 4)
    })
}
