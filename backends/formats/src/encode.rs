//! Numbers to bytes: each rounded to the nearest that an encoding has, in blocks with the scales that leave the least error.

mod fit;

use crate::{
    Encoding, Native, bfloat16,
    block::{Block, Factors, Groups, Unit},
    half::{nearest_f16, put_half},
};
use fit::{Affine, Weighted, affine, leveled, nearest_level, scaled};

impl Encoding {
    /// The bytes of numbers that are whole blocks: of blocks, each nearest to what it stands for under scales that are searched for
    /// the least squared error, in which large numbers count more. `None` where nothing is written in this encoding.
    pub fn encode(self, numbers: &[f32]) -> Option<Vec<u8>> {
        self.encode_by(numbers, None)
    }

    /// The same of whole rows, where the error of a number also counts as much as its column in `importance`: scales are searched for the
    /// least squared error of products with vectors whose mean squares these are.
    pub fn encode_rows(self, numbers: &[f32], importance: &[f32]) -> Option<Vec<u8>> {
        self.encode_by(numbers, Some(importance))
    }

    fn encode_by(self, numbers: &[f32], importance: Option<&[f32]>) -> Option<Vec<u8>> {
        let each = |bytes: fn(f32) -> u16| numbers.iter().flat_map(|x| bytes(*x).to_le_bytes()).collect();
        match self.native()? {
            Native::F32 => Some(numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Native::F16 => Some(each(nearest_f16)),
            Native::Bf16 => Some(each(bfloat16::nearest_bf16)),
            Native::Float8(_) => None,
            Native::Block(block) => {
                let mut bytes = Vec::with_capacity(numbers.len() / self.block() * self.block_bytes());
                for (n, numbers) in numbers.chunks_exact(self.block()).enumerate() {
                    let start = bytes.len();
                    bytes.resize(start + self.block_bytes(), 0);
                    let of_block = importance.map(|row| &row[n * self.block() % row.len()..][..self.block()]);
                    write(block, numbers, of_block, &mut bytes[start..]);
                }
                Some(bytes)
            }
        }
    }
}

fn write(block: &Block, numbers: &[f32], importance: Option<&[f32]>, bytes: &mut [u8]) {
    let bits = block.bits();
    let fit = |numbers: Weighted<'_>| match block.minimum {
        // The minima of groups are subtracted and have no sign.
        Some(_) => affine(numbers, (1 << bits) - 1, block.groups.is_some()),
        None => Affine {
            scale: match block.levels {
                Some(levels) => leveled(numbers, levels, block.unit == Unit::Power),
                None => scaled(numbers, bits),
            },
            minimum: 0.0,
        },
    };
    match block.groups {
        None => {
            let found = fit(Weighted::new(numbers, importance));
            let scaling = Affine {
                scale: block.put_scale(bytes, found.scale),
                minimum: block.minimum.map_or(0.0, |at| put_half(bytes, at, found.minimum)),
            };
            integers(block, numbers, 0, scaling, bytes);
        }
        Some(groups) => {
            let weighted = |(g, numbers): (usize, _)| {
                let of_group = importance.map(|all| &all[g * groups.size..][..groups.size]);
                fit(Weighted::new(numbers, of_group))
            };
            let found: Vec<Affine> = numbers.chunks(groups.size).enumerate().map(weighted).collect();
            let scalings = factors(block, groups, &found, bytes);
            for (g, (numbers, scaling)) in numbers.chunks(groups.size).zip(scalings).enumerate() {
                integers(block, numbers, g * groups.size, scaling, bytes);
            }
        }
    }
}

/// Writes the integers of weights from `first` on of a block.
fn integers(block: &Block, numbers: &[f32], first: usize, scaling: Affine, bytes: &mut [u8]) {
    let (low, high) = (block.low, block.high);
    let least = if block.bits() == 8 {
        -127
    } else {
        i32::from(block.offset)
    };
    let most = least
        + if block.bits() == 8 {
            254
        } else {
            (1 << block.bits()) - 1
        };
    for (i, x) in numbers.iter().enumerate() {
        let q = match scaling.scale {
            0.0 => 0.0,
            scale => (x - scaling.minimum) / scale,
        };
        let stored = match block.levels {
            Some(levels) => nearest_level(q, levels) as u32,
            None => ((q.round() as i32).clamp(least, most) - i32::from(block.offset)) as u32,
        };
        for (part, value) in [(Some(low), stored), (high, stored >> low.bits)] {
            let Some(part) = part else { continue };
            let (byte, place) = part.place(first + i);
            let mask = (1_u32 << part.bits) - 1;
            bytes[byte] |= ((value & mask) << place) as u8;
        }
    }
}

/// Writes scale and minimum of a block and the factors of its groups; gives what they say.
fn factors(block: &Block, groups: Groups, found: &[Affine], bytes: &mut [u8]) -> Vec<Affine> {
    let (least, most) = match groups.factors {
        Factors::Bytes => (-128.0, 127.0),
        Factors::SixBits => (0.0, 63.0),
        Factors::Nibbles => (0.0, 15.0),
        Factors::SixBitScales | Factors::SixBitsApart => (-32.0, 31.0),
    };
    // The largest factor is at the end that reaches further.
    let of = |values: Vec<f32>, bytes: &mut [u8], at: usize| {
        let largest = values
            .iter()
            .copied()
            .fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
        let end: f32 = if least < 0.0 { least } else { most };
        let unit = put_half(bytes, at, largest / end);
        let factor = |x: &f32| {
            if unit == 0.0 {
                0.0
            } else {
                (x / unit).round().clamp(least, most)
            }
        };
        (unit, values.iter().map(factor).collect::<Vec<f32>>())
    };
    let (d, scales) = of(found.iter().map(|fit| fit.scale).collect(), bytes, block.scale);
    let (m, minima) = match block.minimum {
        Some(at) => of(found.iter().map(|fit| -fit.minimum).collect(), bytes, at),
        None => (0.0, vec![0.0; found.len()]),
    };
    for (g, (scale, minimum)) in scales.iter().zip(&minima).enumerate() {
        put_factors(groups, g, *scale as i32, *minimum as i32, bytes);
    }
    let scaling = |(scale, minimum): (&f32, &f32)| Affine {
        scale: d * scale,
        minimum: -m * minimum,
    };
    scales.iter().zip(&minima).map(scaling).collect()
}

/// Writes the factors of a group, in the places that [`Factors`] describes.
fn put_factors(groups: Groups, g: usize, scale: i32, minimum: i32, bytes: &mut [u8]) {
    let at = &mut bytes[groups.start..];
    match groups.factors {
        Factors::Bytes => at[g] = scale as i8 as u8,
        Factors::Nibbles => at[g] = scale as u8 | (minimum as u8) << 4,
        Factors::SixBits if g < 4 => {
            at[g] |= scale as u8;
            at[4 + g] |= minimum as u8;
        }
        Factors::SixBits => {
            at[4 + g] |= scale as u8 & 15 | (minimum as u8 & 15) << 4;
            at[g - 4] |= (scale as u8 >> 4) << 6;
            at[g] |= (minimum as u8 >> 4) << 6;
        }
        Factors::SixBitScales => {
            let stored = (scale + 32) as u8;
            at[g % 8] |= (stored & 15) << (g / 8 * 4);
            at[8 + g % 4] |= (stored >> 4) << (g / 4 * 2);
        }
        Factors::SixBitsApart => {
            let stored = (scale + 32) as u8;
            at[2 + g / 2] |= (stored & 15) << (g % 2 * 4);
            at[g / 4] |= (stored >> 4) << (g % 4 * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Encoding;

    /// Numbers that are spread as weights are: sums of uniform ones.
    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 40) as f32 / (1_u32 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (0..8).map(|_| next()).sum::<f32>() * 0.03).collect()
    }

    /// The encodings that numbers are written in.
    fn written() -> impl Iterator<Item = Encoding> {
        Encoding::all_native().filter(|encoding| encoding.encode(&[]).is_some())
    }

    /// Root of the mean squared error over that of the numbers.
    fn error(encoding: Encoding, numbers: &[f32]) -> f64 {
        let bytes = encoding.encode(numbers).expect("an encoding that is written");
        assert_eq!(bytes.len(), encoding.row_bytes(numbers.len()).expect("whole blocks"));
        let mut decoded = Vec::new();
        assert!(encoding.decode(&bytes, &mut decoded));
        let square = |x: f64| x * x;
        let off: f64 = numbers
            .iter()
            .zip(&decoded)
            .map(|(a, b)| square(f64::from(a - b)))
            .sum();
        let all: f64 = numbers.iter().map(|a| square(f64::from(*a))).sum();
        (off / all.max(1e-30)).sqrt()
    }

    #[test]
    fn what_is_encoded_is_near() {
        let most = [
            ("f32", 0.0),
            ("f16", 3e-4),
            ("bf16", 2.5e-3),
            ("q8_0", 0.006),
            ("q6_k", 0.02),
            ("q5_k", 0.04),
            ("q5_1", 0.045),
            ("q5_0", 0.05),
            ("q4_k", 0.08),
            ("q4_1", 0.09),
            ("q4_0", 0.1),
            ("iq4_nl", 0.09),
            ("iq4_xs", 0.09),
            ("mxfp4", 0.13),
            ("q3_k", 0.17),
            ("q2_k", 0.33),
        ];
        assert_eq!(most.len(), written().count());
        for (name, most) in most {
            let encoding = Encoding::named(name).expect("a name");
            for seed in 1..4 {
                let off = error(encoding, &numbers(2048, seed));
                assert!(off <= most, "{name}: off by {off}");
            }
        }
    }

    #[test]
    fn errors_move_to_where_they_count_little() {
        let numbers = numbers(2048, 5);
        let importance: Vec<f32> = (0..512).map(|i| if i % 7 == 0 { 100.0 } else { 0.01 }).collect();
        for encoding in written().filter(|encoding| encoding.block() > 1) {
            let counted = |bytes: Option<Vec<u8>>| {
                let mut decoded = Vec::new();
                assert!(encoding.decode(&bytes.expect("bytes"), &mut decoded));
                let off = numbers.iter().zip(&decoded).map(|(a, b)| (a - b) * (a - b));
                off.enumerate().map(|(i, off)| importance[i % 512] * off).sum::<f32>()
            };
            let (plain, weighted) = (
                counted(encoding.encode(&numbers)),
                counted(encoding.encode_rows(&numbers, &importance)),
            );
            // The scale of eight bits, and one that is a power of two, is not searched for.
            let fixed = matches!(encoding, Encoding::Q8_0 | Encoding::Mxfp4);
            let less = if fixed {
                weighted <= plain
            } else {
                weighted < 0.9 * plain
            };
            assert!(less, "{encoding}: {weighted} after {plain}");
            assert_eq!(
                encoding.encode_rows(&numbers, &[1.0; 512]),
                encoding.encode(&numbers),
                "{encoding}"
            );
        }
    }

    #[test]
    fn blocks_of_equal_numbers_zeros_and_extremes_are_encoded() {
        for encoding in written() {
            assert_eq!(error(encoding, &[0.0; 256]), 0.0, "{encoding}");
            assert!(error(encoding, &[-0.75; 256]) < 2e-2, "{encoding}");
            let mut one = [0.0; 256];
            one[100] = 3.0;
            // Levels that have no zero are off by a 113th of the largest number, or less, in the 31 numbers beside it.
            let no_zero = matches!(encoding, Encoding::Iq4_Nl | Encoding::Iq4_Xs);
            assert!(error(encoding, &one) < if no_zero { 5e-2 } else { 2e-2 }, "{encoding}");
            let bytes = encoding.encode(&[3e38; 256]).expect("bytes");
            let mut decoded = Vec::new();
            assert!(encoding.decode(&bytes, &mut decoded));
            let finite = decoded.iter().all(|x| x.is_finite());
            assert!(finite || encoding == Encoding::F16, "{encoding}");
        }
    }
}
