//! `mxfp4`: 32 weights in 17 bytes: the exponent `e` of a power of two, 16 bytes of nibbles, each a number of four bits (sign, two bits of
//! exponent, one of mantissa); `w = 2 ** (e - 127) * number` (OCP Microscaling Formats 1.0, section 5.3).

use crate::{
    facts::Facts,
    unpack::{each_block, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::ggml("mxfp4", 39, 32, 17)
};

/// Twice the numbers without their sign.
const DOUBLED: [f32; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0];

/// 2 ** (e - 128), exactly.
fn half_scale(e: u8) -> f32 {
    f32::from_bits(match e {
        0 | 1 => 0x0020_0000 << e,
        e => u32::from(e - 1) << 23,
    })
}

fn weights(block: &[u8; 17]) -> [f32; 32] {
    let scale = half_scale(block[0]);
    std::array::from_fn(|i| {
        let number = nibble(&block[1..], i);
        let size = scale * DOUBLED[usize::from(number & 7)];
        // GGML knows no negative zero here.
        if number > 8 { -size } else { size }
    })
}
