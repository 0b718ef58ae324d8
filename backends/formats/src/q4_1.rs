//! `q4_1`: 32 weights in 20 bytes: f16 `d` and `m`, 16 bytes of nibbles; `w = d * q + m`.

use crate::{
    block::{Bits, Block},
    facts::Facts,
    unpack::{each_block, half, nibble},
};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, weights)),
    ..Facts::native("q4_1", 3, 32, 20, &BLOCK)
};

const BLOCK: Block = Block {
    minimum: Some(2),
    ..Block::scaled(Bits {
        start: 4,
        bits: 4,
        run: 16,
    })
};

fn weights(block: &[u8; 20]) -> [f32; 32] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[4..], i)) + m)
}

#[cfg(test)]
mod tests {
    #[test]
    fn four_bit_blocks_are_scaled_and_shifted() {
        let mut block = [0_u8; 20];
        block[..4].copy_from_slice(&[0x00, 0x38, 0x00, 0xbc]); // 0.5 and -1
        block[4] = 0xf3;
        let weights = super::weights(&block);
        assert_eq!((weights[0], weights[16], weights[1]), (0.5, 6.5, -1.0));
    }
}
