//! GGML's block formats, as published in its documentation: bytes of one block to its weights.

/// IEEE binary16 to binary32, exactly.
pub(crate) fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half) & 0x3ff;
    match exponent {
        // Subnormal: fraction * 2^-24.
        0 => {
            let value = fraction as f32 * f32::from_bits(0x3380_0000);
            f32::from_bits(value.to_bits() | sign)
        }
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Weight `i` of 32 four-bit numbers: the low nibbles first, then the high ones.
fn nibble(bytes: &[u8], i: usize) -> u8 {
    if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 }
}

pub(crate) fn q4_0(block: &[u8; 18]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[2..], i)) - 8.0))
}

pub(crate) fn q4_1(block: &[u8; 20]) -> [f32; 32] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[4..], i)) + m)
}

fn fifth_bit(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 8] >> (i % 8) & 1) << 4
}

pub(crate) fn q5_0(block: &[u8; 22]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[6..], i) | fifth_bit(&block[2..], i)) - 16.0))
}

pub(crate) fn q5_1(block: &[u8; 24]) -> [f32; 32] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[8..], i) | fifth_bit(&block[4..], i)) + m)
}

pub(crate) fn q8_0(block: &[u8; 34]) -> [f32; 32] {
    let d = half(block, 0);
    std::array::from_fn(|i| d * f32::from(block[2 + i] as i8))
}

/// Scale and minimum of group `g` of eight, six bits each in twelve bytes.
fn six_bits(bytes: &[u8], g: usize) -> (f32, f32) {
    let (scale, min) = if g < 4 {
        (bytes[g] & 63, bytes[g + 4] & 63)
    } else {
        (
            bytes[g + 4] & 15 | bytes[g - 4] >> 6 << 4,
            bytes[g + 4] >> 4 | bytes[g] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(min))
}

/// Weight `i` of 256 four-bit numbers: runs of 32 in the low, then the high nibbles of 32 bytes.
fn long_nibble(bytes: &[u8], i: usize) -> u8 {
    let byte = bytes[i / 64 * 32 + i % 32];
    if i % 64 < 32 { byte & 15 } else { byte >> 4 }
}

pub(crate) fn q4_k(block: &[u8; 144]) -> [f32; 256] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| {
        let (scale, min) = six_bits(&block[4..16], i / 32);
        d * scale * f32::from(long_nibble(&block[16..], i)) - m * min
    })
}

pub(crate) fn q5_k(block: &[u8; 176]) -> [f32; 256] {
    let (d, m) = (half(block, 0), half(block, 2));
    std::array::from_fn(|i| {
        let (scale, min) = six_bits(&block[4..16], i / 32);
        let high = (block[16 + i % 32] >> (i / 32) & 1) << 4;
        d * scale * f32::from(long_nibble(&block[48..], i) | high) - m * min
    })
}

pub(crate) fn q6_k(block: &[u8; 210]) -> [f32; 256] {
    let d = half(block, 208);
    std::array::from_fn(|i| {
        let (part, run, at) = (i / 128, i % 128 / 32, i % 32);
        let low = block[part * 64 + run % 2 * 32 + at] >> (run / 2 * 4) & 15;
        let high = block[128 + part * 32 + at] >> (run * 2) & 3;
        let scale = block[192 + part * 8 + run * 2 + at / 16] as i8;
        d * f32::from(scale) * (f32::from(low | high << 4) - 32.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_convert_exactly() {
        let cases: [(u16, f32); 8] = [
            (0, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (1, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
            (0x3555, 0.333_251_95),
        ];
        for (half, value) in cases {
            assert_eq!(f16_to_f32(half), value, "{half:#x}");
        }
        assert!(f16_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn four_bit_blocks_are_scaled_and_shifted() {
        let mut block = [0_u8; 20];
        block[..4].copy_from_slice(&[0x00, 0x38, 0x00, 0xbc]); // 0.5 and -1
        block[4] = 0xf3;
        let weights = q4_1(&block);
        assert_eq!((weights[0], weights[16], weights[1]), (0.5, 6.5, -1.0));
    }
}
