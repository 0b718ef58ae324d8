//! How generated code reads each encoding: the one place where kernels tell encodings apart by name.

use crate::kernel::Scalar;
use seqc_formats::{Encoding, Native};

/// Where the numbers of an encoding are in its bytes.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Each number by itself.
    Plain(Plain),
    /// Blocks of 32 with a common scale.
    Block(Block),
}

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

/// A block of 32 numbers `d * (q + offset) + m`: the f16 scale `d` at its first byte, integers `q`.
#[derive(Clone, Copy)]
pub(super) struct Block {
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
}

impl Block {
    /// Whether its numbers are more than a scale times an integer.
    pub(super) fn is_shifted(&self) -> bool {
        self.offset.is_some() || self.minimum.is_some()
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
        Native::Q4_0 => Layout::Block(Block {
            start: 2,
            integers: Integers::Nibbles,
            offset: Some(-8.0),
            minimum: None,
        }),
        Native::Q4_1 => Layout::Block(Block {
            start: 4,
            integers: Integers::Nibbles,
            offset: None,
            minimum: Some(2),
        }),
        Native::Q8_0 => Layout::Block(Block {
            start: 2,
            integers: Integers::Bytes,
            offset: None,
            minimum: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Integers, Layout, layout};
    use seqc_formats::Encoding;

    #[test]
    fn the_bytes_of_a_block_are_its_scales_and_integers() {
        for encoding in Encoding::all_native() {
            let Layout::Block(Block { start, integers, .. }) = layout(encoding) else {
                assert_eq!(encoding.block(), 1);
                continue;
            };
            let bytes = match integers {
                Integers::Nibbles => 16,
                Integers::Bytes => 32,
            };
            assert_eq!((encoding.block(), encoding.block_bytes() as i64), (32, start + bytes));
        }
    }
}
