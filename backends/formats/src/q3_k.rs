//! `q3_k`: 256 weights in 110 bytes: sixteen groups of 3-bit weights with 6-bit scales.

use crate::{
    block::{Bits, Block, Factors, Groups},
    facts::Facts,
    unpack::{each_block, half},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q3_k", 11, 256, 110, &BLOCK)
};

const BLOCK: Block = Block {
    high: Some(Bits {
        start: 0,
        bits: 1,
        run: 32,
    }),
    offset: -4,
    scale: 108,
    groups: Some(Groups {
        size: 16,
        start: 96,
        factors: Factors::SixBitScales,
    }),
    ..Block::scaled(Bits {
        start: 32,
        bits: 2,
        run: 32,
    })
};

fn weights(block: &[u8; 110]) -> [f32; 256] {
    let (d, factors) = (half(block, 108), &block[96..108]);
    std::array::from_fn(|i| {
        let (group, part, run) = (i / 16, i / 128, i % 128 / 32);
        let low = factors[group % 8] >> (group / 8 * 4) & 15;
        let high = factors[8 + group % 4] >> (group / 4 * 2) & 3;
        let q = block[32 + part * 32 + i % 32] >> (2 * run) & 3;
        let negative = block[i % 32] >> (i / 32) & 1 == 0;
        let q = f32::from(q) - if negative { 4.0 } else { 0.0 };
        d * (f32::from(low | high << 4) - 32.0) * q
    })
}
