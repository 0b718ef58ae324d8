//! Blocks of floats of eight bits behind a common scale. No file has them: programs hold tensors of such floats so, each block with the factor that a
//! file has for its place.

use crate::half::from_f16;

/// How a float of eight bits has its sign, exponent and mantissa (Micikevicius et al. 2022, arXiv:2209.05433, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Float8 {
    /// Four bits of exponent, three of mantissa; no infinities, and one NaN of each sign.
    E4m3,
    /// The upper half of a binary16.
    E5m2,
}

impl Float8 {
    /// Numbers of a block.
    pub const LENGTH: usize = 32;
    /// Bytes of a block: the f32 scale, then the numbers.
    pub const BLOCK_BYTES: usize = Float8::SCALE_BYTES + Float8::LENGTH;
    /// The byte of a block where its numbers begin.
    pub const SCALE_BYTES: usize = size_of::<f32>();

    /// The number of a byte.
    pub fn number(self, byte: u8) -> f32 {
        match self {
            Float8::E4m3 => e4m3(byte),
            Float8::E5m2 => from_f16(u16::from(byte) << 8),
        }
    }

    /// The largest finite number.
    pub fn largest(self) -> f32 {
        match self {
            Float8::E4m3 => 448.0,
            Float8::E5m2 => 57344.0,
        }
    }

    /// Places by which the bits behind the sign are moved to lie where a binary16 has its own.
    pub fn places(self) -> u32 {
        match self {
            Float8::E4m3 => 7,
            Float8::E5m2 => 8,
        }
    }

    /// What that binary16 is multiplied with: the exponents are counted from other zeros.
    pub fn unit(self) -> f32 {
        match self {
            Float8::E4m3 => 256.0,
            Float8::E5m2 => 1.0,
        }
    }

    /// Appends the block of as many numbers as one has and their scale. A block with a number that is none has a scale that is none, too: what
    /// reads it as a binary16 finds a number there.
    pub fn put_block(self, scale: f32, numbers: &[u8], out: &mut Vec<u8>) {
        let missing = numbers.iter().any(|byte| self.number(*byte).is_nan());
        let scale = if missing { f32::NAN } else { scale };
        out.extend(scale.to_le_bytes());
        out.extend(numbers);
    }

    /// The weights of a block.
    pub(crate) fn weights(self, block: &[u8; Float8::BLOCK_BYTES]) -> [f32; Float8::LENGTH] {
        let (scale, numbers) = block.split_at(Float8::SCALE_BYTES);
        let scale = scale.try_into().map_or(f32::NAN, f32::from_le_bytes);
        std::array::from_fn(|i| scale * self.number(numbers[i]))
    }
}

fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (byte >> 3 & 15, f32::from(byte & 7));
    let size = match exponent {
        _ if byte & 0x7f == 0x7f => f32::NAN,
        0 => mantissa * power(-9),
        exponent => (8.0 + mantissa) * power(i32::from(exponent) - 10),
    };
    if byte < 0x80 { size } else { -size }
}

/// 2 ** n, exactly.
fn power(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::Float8;
    use crate::{Encoding, half::from_f16};

    #[test]
    fn every_number_is_a_binary16_times_the_unit() {
        for kind in [Float8::E4m3, Float8::E5m2] {
            for byte in 0..=u8::MAX {
                let number = kind.number(byte);
                let half = u16::from(byte & 0x7f) << kind.places() | u16::from(byte & 0x80) << 8;
                let read = from_f16(half) * kind.unit();
                let is_missing = number.is_nan() && (read.is_nan() || kind == Float8::E4m3);
                assert!(is_missing || number == read, "{kind:?} {byte:#x}");
                assert!(!number.is_finite() || number.abs() <= kind.largest());
            }
        }
    }

    #[test]
    fn a_block_is_its_numbers_times_the_scale_and_missing_where_one_is_missing() {
        let mut numbers: [u8; Float8::LENGTH] = std::array::from_fn(|i| 0x38 + i as u8);
        let mut values = Vec::new();
        let mut bytes = Vec::new();
        Float8::E4m3.put_block(0.5, &numbers, &mut bytes);
        assert!(Encoding::F8_E4M3_32.decode(&bytes, &mut values));
        assert_eq!(values[..3], [0.5, 0.5625, 0.625]);
        numbers[7] = 0xff;
        bytes.clear();
        values.clear();
        Float8::E4m3.put_block(0.5, &numbers, &mut bytes);
        assert!(Encoding::F8_E4M3_32.decode(&bytes, &mut values));
        assert!(values.iter().all(|value| value.is_nan()));
    }
}
