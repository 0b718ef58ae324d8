//! `iq4_xs`: 256 weights in 136 bytes: f16 `d`, eight groups of the levels of `iq4_nl` with 6-bit scales; `w = d * (s - 32) * level`.

use crate::{
    block::{Bits, Block, Factors, Groups},
    facts::Facts,
    iq4_nl::LEVELS,
    unpack::{each_block, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("iq4_xs", 23, 256, 136, &BLOCK)
};

const BLOCK: Block = Block {
    levels: Some(&LEVELS),
    groups: Some(Groups {
        size: 32,
        start: 2,
        factors: Factors::SixBitsApart,
    }),
    ..Block::scaled(Bits {
        start: 8,
        bits: 4,
        run: 16,
    })
};

fn weights(block: &[u8; 136]) -> [f32; 256] {
    let d = half(block, 0);
    // The upper two bits of all scales come first, then their lower four.
    let high = u16::from_le_bytes([block[2], block[3]]);
    let scale = |group: usize| {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        f32::from(low) + f32::from(high >> (2 * group) & 3) * 16.0 - 32.0
    };
    std::array::from_fn(|i| {
        let (group, at) = (i / 32, i % 32);
        let level = LEVELS[usize::from(nibble(&block[8 + group * 16..], at))];
        d * scale(group) * f32::from(level)
    })
}
