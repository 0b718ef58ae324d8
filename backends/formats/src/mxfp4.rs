//! `mxfp4`: 32 weights in 17 bytes: the exponent `e` of a power of two, 16 bytes of nibbles, each a number of four bits (sign, two bits of
//! exponent, one of mantissa); `w = 2 ** (e - 127) * number` (OCP Microscaling Formats 1.0, section 5.3).

use crate::{
    block::{Bits, Block, Unit, power},
    facts::Facts,
    unpack::{each_block, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("mxfp4", 39, 32, 17, &BLOCK)
};

const BLOCK: Block = Block {
    levels: Some(&DOUBLED),
    unit: Unit::Power,
    ..Block::scaled(Bits {
        start: 1,
        bits: 4,
        run: 16,
    })
};

/// Twice the numbers. GGML knows no negative zero here.
const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

fn weights(block: &[u8; 17]) -> [f32; 32] {
    let scale = power(block[0]);
    std::array::from_fn(|i| scale * f32::from(DOUBLED[usize::from(nibble(&block[1..], i))]))
}
