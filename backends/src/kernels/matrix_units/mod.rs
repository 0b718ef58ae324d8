//! Products of many rows on matrix units: processors that multiply small matrices of bfloat16 and add up in f32.
//!
//! A number of f32 is taken as a sum of three of bfloat16, each the one nearest to what is left, which have all of its bits. Products of parts are added up from
//! the smallest on; those below 2^-24 of the whole are left out, so that results agree with those of f32. Numbers of fewer bits have fewer parts:
//! weights of bfloat16 one, of f16 two.
//!
//! Matrices are those of [`Intrinsic::MatrixBf16`](crate::kernel::Intrinsic::MatrixBf16): its first factor has 16 rows of weights, its second one
//! eight rows of activations. Weights are packed as the lanes of vectors want them.

mod block;
mod pack;
mod tile;

pub use block::{BlockRows, MEMBER_TOKENS, block_gemm, block_gemm_name, block_gemm_scratch_bytes};
pub(super) use pack::{STAGED, columns, pack_fragments};
pub(super) use tile::{Tile, tile};

use super::layout::{Layout, Plain, layout};
use crate::{
    kernel::{Func, Scalar, Val},
    targets::MatrixUnits,
};
use seqc_formats::{Encoding, Native, Unit};

/// How a product of many rows is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// In vectors of what activations and weights are.
    Vectors,
    /// On matrix units, from activations of so many parts.
    Matrices(Parts),
}

/// Numbers of bfloat16 whose sum a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// The number is one.
    One,
    /// It has up to 16 bits.
    Two,
    /// It is any of f32.
    Three,
}

/// Significant bits of a number of bfloat16.
const BITS: u32 = 8;
/// Those of an f16.
const HALF_BITS: u32 = 11;

impl Parts {
    /// Of the weights of an encoding.
    pub(super) fn of(encoding: Encoding) -> Parts {
        match layout(encoding) {
            Layout::Plain(plain) => Parts::of_plain(plain),
            Layout::Blocks(_) => Parts::of_bits(Parts::bits_of_blocks(encoding)),
            // An f32 times a few bits.
            Layout::Float8(_) => Parts::of_bits(f32::MANTISSA_DIGITS),
        }
    }

    /// Of numbers that are stored by themselves.
    pub(super) fn of_plain(plain: Plain) -> Parts {
        Parts::of_bits(match plain {
            Plain::F32 => f32::MANTISSA_DIGITS,
            Plain::F16 => HALF_BITS,
            Plain::Bf16 => BITS,
        })
    }

    /// Of so many significant bits.
    fn of_bits(bits: u32) -> Parts {
        match bits {
            0..=BITS => Parts::One,
            n if n <= 2 * BITS => Parts::Two,
            _ => Parts::Three,
        }
    }

    /// Significant bits of scales times integers; of sums with minima, and of products with factors of groups, all that there are.
    fn bits_of_blocks(encoding: Encoding) -> u32 {
        let Some(Native::Block(block)) = encoding.native() else {
            return f32::MANTISSA_DIGITS;
        };
        if block.minimum.is_some() || block.groups.is_some() {
            return f32::MANTISSA_DIGITS;
        }
        let largest = block.range().map(i64::unsigned_abs).into_iter().max().unwrap_or(0);
        let integer = u64::BITS - largest.leading_zeros();
        match block.unit {
            Unit::Half => HALF_BITS + integer,
            Unit::Power => integer,
        }
    }

    pub(super) fn count(self) -> usize {
        match self {
            Parts::One => 1,
            Parts::Two => 2,
            Parts::Three => 3,
        }
    }

    /// The parts of pairs of numbers, the largest first, each as words with two of them.
    pub(super) fn split(self, f: &mut Func, units: MatrixUnits, pair: [Val; 2]) -> Vec<Val> {
        let mut left = pair;
        let mut parts = Vec::new();
        loop {
            let part = (units.round_pairs)(f, left[0], left[1]);
            parts.push(part);
            if parts.len() == self.count() {
                return parts;
            }
            let (places, mask) = (f.int(part.ty, 16), f.int(part.ty, i64::from(0xFFFF_0000_u32 as i32)));
            let halves = [f.shl(part, places), f.and(part, mask)];
            let taken = halves.map(|bits| f.bitcast(bits, part.ty.with(Scalar::F32)));
            left = [f.sub(left[0], taken[0]), f.sub(left[1], taken[1])];
        }
    }
}

/// The parts of weights and of activations that are multiplied, the smallest products first.
pub(super) fn products(weights: Parts, activations: Parts) -> Vec<[usize; 2]> {
    let all = (0..weights.count()).flat_map(|w| (0..activations.count()).map(move |x| [w, x]));
    let mut products: Vec<[usize; 2]> = all.filter(|[w, x]| w + x < Parts::Three.count()).collect();
    products.sort_by_key(|[w, x]| std::cmp::Reverse(w + x));
    products
}

/// Rows of weights of a matrix.
pub(super) const ROWS: usize = 16;
/// Columns of it, and rows of the other one: the axis that is summed.
pub(super) const SUMMED: usize = 16;
/// Rows of activations of the other one.
pub(super) const TOKENS: usize = 8;
/// Lanes of sums and of words of weights.
pub(super) const LANES: usize = ROWS * TOKENS;
/// Words of activations.
pub(super) const WORDS: usize = TOKENS * SUMMED / 2;

/// A lane of an operand: register, and thread of the warp as a row of four.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    register: usize,
    group: usize,
    within: usize,
}

/// The lanes of an operand in order.
fn lanes(count: usize) -> impl Iterator<Item = Lane> {
    (0..count).map(|l| Lane {
        register: l / 32,
        group: l % 32 / 4,
        within: l % 4,
    })
}

impl Lane {
    /// Row of the weights and first of their two columns.
    pub(super) fn of_weights(self) -> [usize; 2] {
        [
            self.group + 8 * (self.register % 2),
            2 * self.within + 8 * (self.register / 2),
        ]
    }

    /// Row of the activations and first of their two columns.
    pub(super) fn of_activations(self) -> [usize; 2] {
        [self.group, 2 * self.within + 8 * self.register]
    }

    /// Row of weights and row of activations of a sum.
    pub(super) fn of_sums(self) -> [usize; 2] {
        [
            self.group + 8 * (self.register / 2),
            2 * self.within + self.register % 2,
        ]
    }
}

/// A vector of numbers of 64 bits, one for each lane.
pub(super) fn numbers(f: &mut Func, count: usize, number: impl Fn(Lane) -> usize) -> Val {
    let all: Vec<i64> = lanes(count).map(|lane| number(lane) as i64).collect();
    f.lanes(Scalar::I64, &all)
}
