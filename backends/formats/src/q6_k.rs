//! `q6_k`: 256 weights in 210 bytes: sixteen groups of 6-bit weights with 8-bit scales.

use crate::{
    block::{Bits, Block, Factors, Groups},
    facts::Facts,
    unpack::{each_block, half},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q6_k", 14, 256, 210, &BLOCK)
};

const BLOCK: Block = Block {
    high: Some(Bits {
        start: 128,
        bits: 2,
        run: 32,
    }),
    offset: -32,
    scale: 208,
    groups: Some(Groups {
        size: 16,
        start: 192,
        factors: Factors::Bytes,
    }),
    ..Block::scaled(Bits {
        start: 0,
        bits: 4,
        run: 64,
    })
};

fn weights(block: &[u8; 210]) -> [f32; 256] {
    let d = half(block, 208);
    std::array::from_fn(|i| {
        let (part, run, at) = (i / 128, i % 128 / 32, i % 32);
        let low = block[part * 64 + run % 2 * 32 + at] >> (run / 2 * 4) & 15;
        let high = block[128 + part * 32 + at] >> (run * 2) & 3;
        let scale = block[192 + part * 8 + run * 2 + at / 16] as i8;
        d * f32::from(scale) * (f32::from(low | high << 4) - 32.0)
    })
}
