//! How generated code reads each encoding: the one place where kernels tell encodings apart.

use crate::kernel::Scalar;
use seqc_formats::{self as formats, Encoding, Float8, Groups, Native, Unit};

/// Where the numbers of an encoding are in its bytes.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Each number by itself.
    Plain(Plain),
    /// Integers in blocks.
    Blocks(Blocks),
    /// Floats of eight bits in blocks of one strip.
    Float8(Float8),
}

/// How blocks are read: a strip of [`STRIP`] numbers at a time.
#[derive(Clone, Copy)]
pub(super) enum Blocks {
    /// Blocks of one strip with a common scale.
    Short(Block),
    /// Longer blocks, of groups with scales of their own.
    Grouped(Grouped),
}

/// Numbers of a block that are read together.
pub(super) const STRIP: u32 = 32;

/// How a number that is stored by itself becomes f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    F32,
    F16,
    Bf16,
}

impl Plain {
    /// What a number is loaded and stored as.
    pub(super) fn scalar(self) -> Scalar {
        match self {
            Plain::F32 => Scalar::F32,
            Plain::F16 | Plain::Bf16 => Scalar::I16,
        }
    }
}

/// A block of 32 numbers `d * (q + offset) + m`: the scale `d` at its first byte, integers `q`.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) description: &'static formats::Block,
    /// How the scale is stored.
    pub(super) unit: Unit,
    /// The byte where the integers begin.
    pub(super) start: i64,
    pub(super) integers: Integers,
    /// What is added to every integer.
    pub(super) offset: Option<f32>,
    /// The byte of the f16 `m`, in encodings that have it.
    pub(super) minimum: Option<i64>,
}

/// How the 32 integers of a block are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Integers {
    /// Four bits each, without a sign: the low halves of 16 bytes, then the high ones.
    Nibbles,
    /// Signed bytes.
    Bytes,
    /// Put together from bits, the offset added, or the levels that they stand for.
    Bits,
}

impl Block {
    /// Whether its numbers are more than a scale times an integer.
    pub(super) fn is_shifted(&self) -> bool {
        self.offset.is_some() || self.minimum.is_some()
    }
}

/// A block of numbers `d s (q + offset) - m t`: factors `s` and `t` of each group, and integers `q` whose bits are put together.
#[derive(Clone, Copy)]
pub(super) struct Grouped {
    pub(super) block: &'static formats::Block,
    pub(super) groups: Groups,
    /// Numbers of a block.
    pub(super) size: u32,
}

impl Grouped {
    /// Groups of a block.
    pub(super) fn count(&self) -> u32 {
        self.size / self.groups.size as u32
    }

    /// The byte where the integers begin, where those of a group are the low or the high halves of consecutive bytes, low halves before
    /// high ones.
    pub(super) fn nibbles(&self) -> Option<i64> {
        let (block, low) = (self.block, self.block.low);
        let halves = low.bits == 4 && low.run == self.groups.size;
        let themselves = block.high.is_none() && block.offset == 0 && block.levels.is_none();
        (halves && themselves).then_some(low.start as i64)
    }
}

/// The layout of an encoding that generated code reads ([`Encoding::native`]). Models have no other (law 14 of the
/// verifier).
pub(super) fn layout(encoding: Encoding) -> Layout {
    let Some(native) = encoding.native() else {
        unreachable!("{encoding} is converted when it is loaded")
    };
    match native {
        Native::F32 => Layout::Plain(Plain::F32),
        Native::F16 => Layout::Plain(Plain::F16),
        Native::Bf16 => Layout::Plain(Plain::Bf16),
        Native::Float8(kind) => Layout::Float8(kind),
        Native::Block(block) => Layout::Blocks(match block.groups {
            None => Blocks::Short(short(block)),
            Some(groups) => Blocks::Grouped(Grouped {
                block,
                groups,
                size: encoding.block() as u32,
            }),
        }),
    }
}

/// A block whose scale is its own.
fn short(block: &'static formats::Block) -> Block {
    let offset = (block.offset != 0).then(|| f32::from(block.offset));
    let (integers, offset) = match (block.low.bits, block.high, block.levels) {
        (8, None, None) => (Integers::Bytes, offset),
        (4, None, None) => (Integers::Nibbles, offset),
        _ => (Integers::Bits, None),
    };
    Block {
        description: block,
        unit: block.unit,
        start: block.low.start as i64,
        integers,
        offset,
        minimum: block.minimum.map(|at| at as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Layout, STRIP, layout};
    use seqc_formats::{Bits, Encoding, Float8, Native};

    #[test]
    fn the_bits_of_every_block_are_in_its_bytes() {
        for encoding in Encoding::all_native() {
            let Some(Native::Block(block)) = encoding.native() else {
                assert!([1, Float8::LENGTH].contains(&encoding.block()));
                continue;
            };
            assert!(encoding.block().is_multiple_of(STRIP as usize), "{encoding}");
            let ends = |bits: Bits| bits.place(encoding.block() - 1).0 < encoding.block_bytes();
            assert!(ends(block.low) && block.high.is_none_or(ends), "{encoding}");
            if let Layout::Blocks(Blocks::Short(_)) = layout(encoding) {
                // What kernels read a strip at a time, with the scale before everything else.
                assert_eq!((encoding.block(), block.scale), (STRIP as usize, 0), "{encoding}");
            }
        }
    }
}
