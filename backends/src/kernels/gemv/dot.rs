//! How a processor adds up products of integers, and the digits in which it takes those of the vector.

use super::shape::Shape;
use crate::{
    kernel::{Func, Scalar, Val},
    kernels::{layout::STRIP, rounded::ByteWeights},
    targets::DotWords,
};
use seqc_formats::Block;
use seqc_ir::Rounding;

/// The largest digit of an entry in fixed point that is a byte: two products of it with bytes without a sign fit 16 bits.
const LARGEST: i64 = 64;

/// How a processor adds up products of integers.
#[derive(Clone, Copy)]
pub(super) enum Dot {
    Bytes(ByteWeights),
    /// Of signed 16-bit integers, two in each lane of a register of four.
    Words(DotWords),
}

impl Dot {
    /// How the integers of a kernel's weights are multiplied; `None`: they are made reals.
    pub(super) fn of(shape: &Shape<'_>, block: &Block) -> Option<Dot> {
        let micro_kernels = &shape.target.micro_kernels;
        if !shape.rounded && !(micro_kernels.fixed_point)(block) {
            return None;
        }
        let largest = if shape.rounded {
            Rounding::LARGEST as i64
        } else {
            LARGEST
        };
        let bytes = |products| Dot::Bytes(ByteWeights::new(products, shape.encoding, largest));
        let bytes = micro_kernels.byte_products.map(bytes);
        bytes.or(micro_kernels.dot_words.map(Dot::Words))
    }

    /// The digits of an entry of the vector: one where it is rounded.
    pub(super) fn digits(self, shape: &Shape<'_>) -> Digits {
        match self {
            _ if shape.rounded => Digits { count: 1, places: 0 },
            Dot::Bytes(_) => Digits { count: 3, places: 7 },
            Dot::Words(_) => Digits { count: 2, places: 10 },
        }
    }

    /// The type of what is multiplied.
    pub(super) fn digit(self) -> Scalar {
        match self {
            Dot::Bytes(_) => Scalar::I8,
            Dot::Words(_) => Scalar::I16,
        }
    }

    /// Lanes of sums in a register: a block of bytes is no longer.
    pub(super) fn lanes(self, shape: &Shape<'_>) -> u32 {
        match self {
            Dot::Bytes(_) => shape.lanes.min(STRIP / 4),
            Dot::Words(_) => 4,
        }
    }

    /// Products that are added up in a lane.
    pub(super) fn per_lane(self) -> u32 {
        match self {
            Dot::Bytes(_) => 4,
            Dot::Words(_) => 2,
        }
    }

    pub(super) fn add(self, f: &mut Func, factors: &[[Val; 2]], sums: Val) -> Val {
        match self {
            Dot::Bytes(weights) => weights.add(f, factors, sums),
            Dot::Words(dot) => factors.iter().fold(sums, |sums, [w, x]| dot(f, sums, *w, *x)),
        }
    }
}

/// Digits of an entry's integer, the first one first.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    pub(super) count: i64,
    /// Bits of all but the first.
    pub(super) places: i64,
}
