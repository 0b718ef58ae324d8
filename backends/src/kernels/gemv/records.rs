//! Products of stored integers with those of a rounded vector, for processors that multiply bytes.

use super::shape::Shape;
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Val},
    kernels::{
        dequant::byte,
        layout::{Integers, STRIP},
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
    /// Integers with a common scale: 16 or 32.
    group: u32,
    /// Lanes of a product.
    pub(super) lanes: u32,
}

impl Records {
    /// Of weights with a common scale for groups of so many.
    pub(super) fn new(shape: &Shape<'_>, weights: ByteWeights, group: usize) -> Records {
        Records {
            weights,
            bias: weights.bias,
            group: group as u32,
            lanes: shape.lanes.min(MOST_LANES),
        }
    }

    /// Of nibbles, which are multiplied as they are; `offset` is what they lack, a whole number.
    pub(super) fn of_nibbles(self, offset: f32) -> Records {
        Records {
            bias: -offset as i64,
            ..self
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

    /// The sum of the numbers of the group at entry `k`.
    pub(super) fn sum(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Val {
        let record = Records::record(f, shape, k);
        if self.group == STRIP {
            let p = byte(f, record, Record::sum(STRIP, 0));
            return f.load(p, Ty::F32);
        }
        let (strip, group) = (f.i64(STRIP.into()), f.i64(self.group.into()));
        let column = f.urem(k, strip);
        let number = f.udiv(column, group);
        let p = byte(f, record, Record::sum(self.group, 0));
        let p = f.gep(p, number, Scalar::F32);
        f.load(p, Ty::F32)
    }

    /// The block, as [`Records::product`] takes it: what sums begin with, then its integers.
    pub(super) fn block(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Vec<Val> {
        let record = Records::record(f, shape, k);
        let mut all = self.starts(f, record);
        for at in (0..STRIP).step_by(4 * self.lanes as usize) {
            let p = byte(f, record, at.into());
            all.push(f.load(p, Ty::V(4 * self.lanes, Scalar::I8)));
        }
        all
    }

    /// Registers of sums of a block: one, unless a group is a register of integers.
    fn sums(&self) -> u32 {
        if self.group == 4 * self.lanes {
            STRIP / self.group
        } else {
            1
        }
    }

    /// What sums begin with: of every group in one of its lanes.
    fn starts(&self, f: &mut Func, record: Val) -> Vec<Val> {
        let none = f.zero(Ty::V(self.lanes, Scalar::I32));
        if self.bias == 0 {
            return vec![none; self.sums() as usize];
        }
        let groups = STRIP / self.group;
        let mut starts = vec![none; self.sums() as usize];
        for n in 0..groups {
            let p = byte(f, record, Record::start(self.group, n));
            let start = f.load(p, Ty::S(Scalar::I32));
            // Registers by turns, and in a register the groups' lanes.
            let of = (n * self.sums() / groups) as usize;
            let lane = if self.sums() == 1 { n * self.lanes / groups } else { 0 };
            starts[of] = f.insert(start, starts[of], lane.into());
        }
        starts
            .iter()
            .map(|start| Record::start_of(f, *start, self.bias))
            .collect()
    }

    /// The product of a block with the integers of a stored one at `ptr`: lanes that add up to it, in units of the scale.
    pub(super) fn product(&self, f: &mut Func, kind: Integers, ptr: Val, x: &[Val]) -> Val {
        let integers = self.integers(f, kind, ptr);
        self.products(f, &integers, x)[0]
    }

    /// The products of a block with integers: lanes that add up to those of its groups, those of a group beside each other.
    pub(super) fn products(&self, f: &mut Func, integers: &[Val], x: &[Val]) -> Vec<Val> {
        let (starts, x) = x.split_at(self.sums() as usize);
        let factors: Vec<[Val; 2]> = integers.iter().zip(x).map(|(q, x)| [*q, *x]).collect();
        let parts = starts.iter().zip(factors.chunks(factors.len() / starts.len()));
        let each = parts.map(|(start, factors)| {
            let sums = self.weights.add(f, factors, *start);
            f.convert(Cast::SignedToFloat, sums, Scalar::F32)
        });
        each.collect()
    }

    /// The factors of [`Records::products`], of scales of groups in all lanes.
    pub(super) fn scales(&self, f: &mut Func, groups: &[Val]) -> Vec<Val> {
        if groups.len() == self.sums() as usize {
            return groups.to_vec();
        }
        let (half, lanes) = (i64::from(self.lanes / 2), i64::from(self.lanes));
        let both: Vec<i64> = (0..half).chain(lanes..lanes + half).collect();
        groups
            .chunks(2)
            .map(|pair| f.shuffle(pair[0], pair[1], &both))
            .collect()
    }

    /// The low and the high halves of 32 bytes as integers.
    pub(super) fn halves(&self, f: &mut Func, ptr: Val) -> [Vec<Val>; 2] {
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for at in (0..STRIP).step_by(4 * self.lanes as usize) {
            let p = byte(f, ptr, at.into());
            let bytes = f.load(p, Ty::V(4 * self.lanes, Scalar::I8));
            let (fifteen, four) = (f.int(bytes.ty, 15), f.int(bytes.ty, 4));
            low.push(f.and(bytes, fifteen));
            high.push(f.shr(bytes, four));
        }
        [low, high]
    }

    /// The integers of a stored block, in order, as they are multiplied.
    pub(super) fn integers(&self, f: &mut Func, kind: Integers, ptr: Val) -> Vec<Val> {
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
