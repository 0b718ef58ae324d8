//! Parts of blocks that several encodings share, as GGML's documentation has them: scales, nibbles, high bits.

use crate::half::from_f16;

/// Decodes numbers of `N` bytes each.
pub(crate) fn each<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)));
}

/// Decodes blocks of `B` bytes each.
pub(crate) fn each_block<const B: usize, const N: usize>(
    bytes: &[u8],
    out: &mut Vec<f32>,
    block: impl Fn(&[u8; B]) -> [f32; N],
) {
    for chunk in bytes.as_chunks::<B>().0 {
        out.extend_from_slice(&block(chunk));
    }
}

/// The f16 at a byte of a block.
pub(crate) fn half(bytes: &[u8], at: usize) -> f32 {
    from_f16(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Weight `i` of 32 four-bit numbers: the low nibbles first, then the high ones.
pub(crate) fn nibble(bytes: &[u8], i: usize) -> u8 {
    if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 }
}

/// Bit `i` of 32, as the fifth of a number.
pub(crate) fn fifth_bit(bytes: &[u8], i: usize) -> u8 {
    (bytes[i / 8] >> (i % 8) & 1) << 4
}

/// Weight `i` of 256 four-bit numbers: runs of 32 in the low, then the high nibbles of 32 bytes.
pub(crate) fn long_nibble(bytes: &[u8], i: usize) -> u8 {
    let byte = bytes[i / 64 * 32 + i % 32];
    if i % 64 < 32 { byte & 15 } else { byte >> 4 }
}

/// Scale and minimum of group `g` of eight, six bits each in twelve bytes.
pub(crate) fn six_bits(bytes: &[u8], g: usize) -> (f32, f32) {
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
