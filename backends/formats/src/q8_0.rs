//! `q8_0`: 32 weights in 34 bytes: f16 `d`, 32 signed bytes; `w = d * q`.

use crate::{
    block::{Bits, Block},
    facts::Facts,
    unpack::{each_block, half},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q8_0", 8, 32, 34, &BLOCK)
};

const BLOCK: Block = Block::scaled(Bits {
    start: 2,
    bits: 8,
    run: 32,
});

fn weights(block: &[u8; 34]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * f32::from(block[2 + i] as i8))
}
