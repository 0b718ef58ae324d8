//! Products of stored integers with those of a rounded vector, for processors that multiply bytes.

use super::shape::Shape;
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Val},
    kernels::{
        dequant::byte,
        layout::{Block, Integers, STRIP},
        rounded::{ByteWeights, Record},
    },
};

/// Most lanes of sums: a block of bytes is no longer.
const MOST_LANES: u32 = STRIP / 4;

/// How blocks of a row of weights are multiplied with the records of a vector.
#[derive(Clone, Copy)]
pub(super) struct Records {
    weights: ByteWeights,
    /// What is added to integers.
    bias: i64,
    /// Lanes of a product.
    pub(super) lanes: u32,
}

impl Records {
    pub(super) fn new(shape: &Shape<'_>, weights: ByteWeights, block: Block) -> Records {
        // Nibbles are multiplied as they are.
        let offset = block.offset.unwrap_or(0.0) as i64;
        Records {
            weights,
            bias: match block.integers {
                Integers::Nibbles => -offset,
                Integers::Bytes | Integers::Bits(_) => weights.bias,
            },
            lanes: shape.lanes.min(MOST_LANES),
        }
    }

    /// The record of the block at entry `k`.
    fn record(f: &mut Func, shape: &Shape<'_>, k: Val) -> Val {
        let (strip, size) = (f.i64(STRIP.into()), f.i64(Record::SIZE));
        let at = f.udiv(k, strip);
        let at = f.mul(at, size);
        f.gep(shape.x, at, Scalar::I8)
    }

    /// The scale of that block.
    pub(super) fn scale(f: &mut Func, shape: &Shape<'_>, k: Val) -> Val {
        let record = Records::record(f, shape, k);
        let p = byte(f, record, Record::SCALE);
        f.load(p, Ty::F32)
    }

    /// The sum of its numbers.
    pub(super) fn sum(f: &mut Func, shape: &Shape<'_>, k: Val) -> Val {
        let record = Records::record(f, shape, k);
        let p = byte(f, record, Record::sum(STRIP, 0));
        f.load(p, Ty::F32)
    }

    /// The block, as [`Records::product`] takes it: what sums begin with, then its integers.
    pub(super) fn block(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Vec<Val> {
        let record = Records::record(f, shape, k);
        let none = f.zero(Ty::V(self.lanes, Scalar::I32));
        let start = match self.bias {
            0 => none,
            _ => {
                let p = byte(f, record, Record::start(STRIP, 0));
                let start = f.load(p, Ty::S(Scalar::I32));
                let start = f.insert(start, none, 0);
                Record::start_of(f, start, self.bias)
            }
        };
        let mut all = vec![start];
        for at in (0..STRIP).step_by(4 * self.lanes as usize) {
            let p = byte(f, record, at.into());
            all.push(f.load(p, Ty::V(4 * self.lanes, Scalar::I8)));
        }
        all
    }

    /// The product of a block with the integers of a stored one at `ptr`: lanes that add up to it, in units of the scale.
    pub(super) fn product(&self, f: &mut Func, kind: Integers, ptr: Val, x: &[Val]) -> Val {
        let integers = self.integers(f, kind, ptr);
        let pairs: Vec<[Val; 2]> = integers.into_iter().zip(&x[1..]).map(|(q, x)| [q, *x]).collect();
        let sums = self.weights.add(f, &pairs, x[0]);
        f.convert(Cast::SignedToFloat, sums, Scalar::F32)
    }

    /// The integers of a stored block, in order, as they are multiplied.
    fn integers(&self, f: &mut Func, kind: Integers, ptr: Val) -> Vec<Val> {
        let bytes = Ty::V(4 * self.lanes, Scalar::I8);
        match kind {
            Integers::Nibbles => {
                // Words of 32 bits twice, the second time moved: bits of other bytes are masked away.
                let low = f.load(ptr, Ty::V(STRIP / 2, Scalar::I8));
                let low = f.bitcast(low, Ty::V(STRIP / 8, Scalar::I32));
                let words: Vec<i64> = (0..i64::from(STRIP / 8)).collect();
                let both: Vec<i64> = words.iter().chain(&words).copied().collect();
                let moves: Vec<i64> = both
                    .iter()
                    .enumerate()
                    .map(|(n, _)| if n < words.len() { 0 } else { 4 })
                    .collect();
                let parts = both.chunks(self.lanes as usize).zip(moves.chunks(self.lanes as usize));
                let part = |(words, moves): (&[i64], &[i64])| {
                    let words = f.shuffle(low, low, words);
                    let moves = f.lanes(Scalar::I32, moves);
                    let moved = f.shr(words, moves);
                    let moved = f.bitcast(moved, bytes);
                    let fifteen = f.int(bytes, 15);
                    f.and(moved, fifteen)
                };
                parts.map(part).collect()
            }
            Integers::Bytes | Integers::Bits(_) => {
                let part = |at: u32| {
                    let p = byte(f, ptr, at.into());
                    let q = f.load(p, bytes);
                    self.weights.biased(f, q)
                };
                (0..STRIP).step_by(4 * self.lanes as usize).map(part).collect()
            }
        }
    }
}
