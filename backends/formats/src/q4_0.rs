//! `q4_0`: 32 weights in 18 bytes: f16 `d`, 16 bytes of nibbles; `w = d * (q - 8)`.

use crate::{
    block::{Bits, Block},
    facts::Facts,
    unpack::{each_block, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q4_0", 2, 32, 18, &BLOCK)
};

const BLOCK: Block = Block {
    offset: -8,
    ..Block::scaled(Bits {
        start: 2,
        bits: 4,
        run: 16,
    })
};

fn weights(block: &[u8; 18]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[2..], i)) - 8.0))
}
