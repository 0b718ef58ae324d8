//! `iq4_nl`: 32 weights in 18 bytes: f16 `d`, 16 bytes of nibbles, each the place of a level; `w = d * level`.

use crate::{
    block::{Bits, Block},
    facts::Facts,
    unpack::{each_block, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("iq4_nl", 20, 32, 18, &BLOCK)
};

const BLOCK: Block = Block {
    levels: Some(&LEVELS),
    ..Block::scaled(Bits {
        start: 2,
        bits: 4,
        run: 16,
    })
};

/// The levels, closer to each other around 0.
pub(crate) const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

fn weights(block: &[u8; 18]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * f32::from(LEVELS[usize::from(nibble(&block[2..], i))]))
}
