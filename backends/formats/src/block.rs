//! How blocks of weights are stored: the bits of their integers and the places of their scales.
//!
//! Kernels, and the random weights of programs, are made from this. The decoders of the files beside it, which say the same
//! in another way, are what both are compared with.

use crate::half::put_half;

/// A block of weights `scale * (q + offset) + minimum`, where `q` are integers of a few bits, or the levels whose places these are.
///
/// Without groups, `scale` and `minimum` are numbers of the block, the minimum an f16. With groups they are these times a factor of each group, and
/// the minimum is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// The integers, or their low bits.
    pub low: Bits,
    /// The bits above those.
    pub high: Option<Bits>,
    /// What is added to each integer.
    pub offset: i8,
    /// What integers of four bits stand for, where that is not themselves.
    pub levels: Option<&'static [i8; 16]>,
    /// The byte of the scale.
    pub scale: usize,
    /// How it is stored.
    pub unit: Unit,
    /// The byte of the f16 minimum; `None`: zero.
    pub minimum: Option<usize>,
    /// Groups of consecutive weights with factors of their own.
    pub groups: Option<Groups>,
}

impl Block {
    /// The least and the greatest integer that it may have, the offset added, or of the levels that they stand for.
    pub fn range(&self) -> [i64; 2] {
        if let Some(levels) = self.levels {
            let levels = || levels.iter().map(|level| i64::from(*level));
            return [levels().min().unwrap_or(0), levels().max().unwrap_or(0)];
        }
        let bits = self.low.bits + self.high.map_or(0, |high| high.bits);
        match bits {
            8 => [i8::MIN.into(), i8::MAX.into()],
            _ => [i64::from(self.offset), i64::from(self.offset) + (1 << bits) - 1],
        }
    }
}

/// How the scale of a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// An f16.
    Half,
    /// A byte `e`, for `2 ** (e - 128)`.
    Power,
}

/// The byte of the power of two nearest to a number, as far as twelve times it is finite.
fn nearest_power(value: f32) -> u8 {
    const LARGEST: f32 = 252.0;
    (value.abs().log2().round() + 128.0).clamp(0.0, LARGEST) as u8
}

/// The number of such a byte.
pub(crate) fn power(e: u8) -> f32 {
    f32::from_bits(match e {
        0 | 1 => 0x0020_0000 << e,
        e => u32::from(e - 1) << 23,
    })
}

/// Some bits of each integer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    /// The byte where they begin.
    pub start: usize,
    /// How many of each integer: 1, 2, 4 or 8. Integers of eight bits have a sign, all others have none.
    pub bits: usize,
    /// Weights whose bits are at the same place in consecutive bytes, before those that are at the next place in these bytes: 1 (for
    /// single bits only), 16, or a multiple of 32.
    pub run: usize,
}

/// Groups of consecutive weights of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Groups {
    /// Weights of a group: 16 or 32.
    pub size: usize,
    /// The byte where their factors begin.
    pub start: usize,
    /// How the factors are stored.
    pub factors: Factors,
}

/// How the factors of the groups of a block are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Factors {
    /// A factor of the scale: signed bytes.
    Bytes,
    /// Factors of scale and minimum of eight groups: six bits each, without a sign, in twelve bytes. The first four bytes have the
    /// scales of groups 0 to 3, the next four their minima. The last four have the low four bits of the scales of groups 4 to 7, above
    /// them those of their minima, whose high bits are the upper two of the first eight bytes.
    SixBits,
    /// Factors of scale and minimum of sixteen groups: the low and the high four bits of a byte each.
    Nibbles,
    /// A factor of the scale of sixteen groups: six bits each, 32 above the factor, in twelve bytes. The first eight have the low four
    /// bits of groups 0 to 7, above them those of groups 8 to 15; the last four have the upper two bits of groups 0 to 3, and above them
    /// those of the next groups.
    SixBitScales,
    /// A factor of the scale of eight groups: six bits each, 32 above the factor, in six bytes. The first two have the upper two bits of all
    /// groups, the others the low four bits of two groups each.
    SixBitsApart,
}

impl Bits {
    /// The byte of the bits of weight `i`, and the place of the lowest of them there.
    pub fn place(self, i: usize) -> (usize, usize) {
        let in_byte = 8 / self.bits;
        let byte = i / (self.run * in_byte) * self.run + i % self.run;
        (self.start + byte, i / self.run % in_byte * self.bits)
    }
}

impl Block {
    /// Integers that only a scale is multiplied with, the first two bytes of the block.
    pub(crate) const fn scaled(low: Bits) -> Block {
        Block {
            low,
            high: None,
            offset: 0,
            levels: None,
            scale: 0,
            unit: Unit::Half,
            minimum: None,
            groups: None,
        }
    }

    /// Bits of an integer.
    pub fn bits(&self) -> usize {
        self.low.bits + self.high.map_or(0, |high| high.bits)
    }

    /// Writes the scale that is nearest to a number into a block, and gives what it says.
    pub fn put_scale(&self, bytes: &mut [u8], value: f32) -> f32 {
        match self.unit {
            Unit::Half => put_half(bytes, self.scale, value),
            Unit::Power => {
                bytes[self.scale] = nearest_power(value);
                power(bytes[self.scale])
            }
        }
    }

    /// Scale and minimum with which weights of random bits are spread over about `-reach..reach`.
    pub fn scales_of(&self, reach: f32) -> (f32, f32) {
        // Levels reach as far as integers of eight bits, or as their largest one.
        let furthest = self
            .levels
            .map(|levels| levels.iter().map(|level| level.unsigned_abs()).max());
        let integers = match furthest.flatten() {
            Some(furthest) => 2.0 * f32::from(furthest),
            None => (1_u32 << self.bits()) as f32,
        };
        let factor = match self.groups.map(|groups| groups.factors) {
            None => 1.0,
            Some(Factors::Bytes) => 128.0,
            Some(Factors::SixBits) => 63.0,
            Some(Factors::Nibbles) => 15.0,
            Some(Factors::SixBitScales | Factors::SixBitsApart) => 32.0,
        };
        if self.minimum.is_none() {
            return (reach / (integers / 2.0) / factor, 0.0);
        }
        let minimum = if self.groups.is_some() { reach } else { -reach };
        (reach / ((integers - 1.0) / 2.0) / factor, minimum / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Factors, Unit, power};
    use crate::{Encoding, Native, unpack::half};

    /// An integer of a block, its offset added.
    fn integer(block: &Block, bytes: &[u8], i: usize) -> i32 {
        let part = |bits: super::Bits| {
            let (byte, place) = bits.place(i);
            i32::from(bytes[byte]) >> place & ((1 << bits.bits) - 1)
        };
        let q = part(block.low) | block.high.map_or(0, part) << block.low.bits;
        if let Some(levels) = block.levels {
            return i32::from(levels[q as usize]);
        }
        let sign = if block.bits() == 8 && q > 127 { 256 } else { 0 };
        q - sign + i32::from(block.offset)
    }

    /// Scale and minimum of the group of a weight.
    fn scaling(block: &Block, bytes: &[u8], i: usize) -> (f32, f32) {
        let (d, m) = (
            match block.unit {
                Unit::Half => half(bytes, block.scale),
                Unit::Power => power(bytes[block.scale]),
            },
            block.minimum.map_or(0.0, |at| half(bytes, at)),
        );
        let Some(groups) = block.groups else { return (d, m) };
        let (g, at) = (i / groups.size, |n: usize| bytes[groups.start + n]);
        match groups.factors {
            Factors::Bytes => (d * f32::from(at(g) as i8), 0.0),
            Factors::Nibbles => (d * f32::from(at(g) & 15), -m * f32::from(at(g) >> 4)),
            Factors::SixBitScales => {
                let (low, high) = (at(g % 8) >> (g / 8 * 4) & 15, at(8 + g % 4) >> (g / 4 * 2) & 3);
                (d * (f32::from(low | high << 4) - 32.0), 0.0)
            }
            Factors::SixBitsApart => {
                let (low, high) = (at(2 + g / 2) >> (g % 2 * 4) & 15, at(g / 4) >> (g % 4 * 2) & 3);
                (d * (f32::from(low | high << 4) - 32.0), 0.0)
            }
            Factors::SixBits if g < 4 => (d * f32::from(at(g) & 63), -m * f32::from(at(4 + g) & 63)),
            Factors::SixBits => {
                let (scale, minimum) = (at(4 + g) & 15 | at(g - 4) >> 6 << 4, at(4 + g) >> 4 | at(g) >> 6 << 4);
                (d * f32::from(scale), -m * f32::from(minimum))
            }
        }
    }

    #[test]
    fn blocks_are_described_as_they_are_decoded() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 33) as u8
        };
        for encoding in Encoding::all_native() {
            let Some(Native::Block(block)) = encoding.native() else {
                continue;
            };
            for _ in 0..50 {
                let mut bytes: Vec<u8> = (0..encoding.block_bytes()).map(|_| next()).collect();
                for at in [Some(block.scale), block.minimum].into_iter().flatten() {
                    // A finite number.
                    match block.unit {
                        Unit::Half => bytes[at + 1] &= 0xbb,
                        Unit::Power => bytes[at] = bytes[at].min(250),
                    }
                }
                let mut weights = Vec::new();
                assert!(encoding.decode(&bytes, &mut weights));
                for (i, weight) in weights.into_iter().enumerate() {
                    let (scale, minimum) = scaling(block, &bytes, i);
                    let described = scale * integer(block, &bytes, i) as f32 + minimum;
                    assert_eq!(described, weight, "{encoding} {i}");
                }
            }
        }
    }

    #[test]
    fn random_bits_are_spread_over_the_reach() {
        for encoding in Encoding::all_native() {
            let Some(Native::Block(block)) = encoding.native() else {
                continue;
            };
            let (scale, minimum) = block.scales_of(1.0);
            assert!(scale > 0.0 && (minimum == 0.0) == block.minimum.is_none(), "{encoding}");
        }
    }
}
