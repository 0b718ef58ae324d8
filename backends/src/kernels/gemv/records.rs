//! Products of stored integers with those of a vector, for processors that add up products of integers.
//!
//! Each block of 32 entries of the vector is a record: its integers, the scale that makes them reals, and what sums of products begin with. A vector
//! that was [rounded](crate::kernels::rounded) has such records already, with an integer of a byte for each entry. Of any other, a kernel
//! makes some on its stack, in [fixed point](super::fixed): integers of several digits, which are multiplied one after another.

use super::{
    dot::{Digits, Dot},
    shape::Shape,
};
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Val},
    kernels::{
        bits::{Strip, strip},
        dequant::byte,
        layout::STRIP,
        rounded::Record,
    },
};
use seqc_formats::Block;

/// Where records are.
#[derive(Clone, Copy)]
enum Place {
    /// In place of the vector.
    Rounded,
    /// On the stack.
    Fixed(Val),
}

/// A strip of weights.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub(super) block: &'static Block,
    /// Where the block is.
    pub(super) ptr: Val,
    /// The strip's first weight, counted from the block's.
    pub(super) first: usize,
}

/// How blocks of a row of weights are multiplied with the records of a vector.
#[derive(Clone, Copy)]
pub(super) struct Records {
    pub(super) dot: Dot,
    pub(super) digits: Digits,
    place: Place,
    /// What is added to integers.
    bias: i64,
    /// Integers with a common scale: 16 or 32.
    group: u32,
    /// Whether integers are multiplied where they lie in their bytes, times powers of two.
    in_place: bool,
    /// Lanes of a product.
    pub(super) lanes: u32,
}

impl Records {
    /// Those of a vector that was rounded.
    pub(super) fn rounded(shape: &Shape<'_>, dot: Dot, block: &Block) -> Records {
        let alone =
            block.high.is_none() && block.levels.is_none() && block.offset == 0 && block.low.run >= STRIP as usize;
        // Integers of few bits are multiplied as they are stored.
        let bias = match dot {
            _ if block.bits() < 8 && block.levels.is_none() => -i64::from(block.offset),
            Dot::Bytes(weights) => weights.bias,
            Dot::Words(_) => 0,
        };
        Records {
            dot,
            digits: dot.digits(shape),
            place: Place::Rounded,
            bias,
            group: block.groups.map_or(STRIP, |groups| groups.size as u32),
            in_place: matches!(dot, Dot::Bytes(weights) if weights.take_any_byte()) && alone,
            lanes: dot.lanes(shape),
        }
    }

    /// The same with room on the stack for records in fixed point, which are not written yet.
    pub(super) fn with_room(self, f: &mut Func, shape: &Shape<'_>) -> Records {
        let (size, strip) = (f.i64(self.fixed_size()), f.i64(STRIP.into()));
        let blocks = f.udiv(shape.k, strip);
        let bytes = f.mul(blocks, size);
        Records {
            place: Place::Fixed(f.stack_of(bytes, Scalar::I8)),
            ..self
        }
    }

    /// The byte of a record in fixed point where what sums begin with is, a register for each register of sums.
    fn starts_at(&self) -> i64 {
        self.digits.count * i64::from(STRIP) * self.dot.digit().bytes()
    }

    /// The byte where those of one register begin.
    pub(super) fn start_at(&self, n: i64) -> i64 {
        self.starts_at() + n * i64::from(self.lanes) * Scalar::I32.bytes()
    }

    /// The byte of its scale.
    pub(super) fn scale_at(&self) -> i64 {
        match self.place {
            Place::Rounded => Record::SCALE,
            Place::Fixed(_) => self.fixed_scale_at(),
        }
    }

    fn fixed_scale_at(&self) -> i64 {
        self.start_at(self.sums().into())
    }

    /// Bytes of a record in fixed point: whole registers, which follow one another.
    fn fixed_size(&self) -> i64 {
        (self.fixed_scale_at() as u64 + 4).next_multiple_of(32) as i64
    }

    /// The record of the block at entry `k`.
    pub(super) fn record(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Val {
        let (records, size) = match self.place {
            Place::Rounded => (shape.x, Record::SIZE),
            Place::Fixed(records) => (records, self.fixed_size()),
        };
        let (strip, size) = (f.i64(STRIP.into()), f.i64(size));
        let at = f.udiv(k, strip);
        let at = f.mul(at, size);
        f.gep(records, at, Scalar::I8)
    }

    /// The scale of that block.
    pub(super) fn scale(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Val {
        let record = self.record(f, shape, k);
        let p = byte(f, record, self.scale_at());
        f.load(p, Ty::F32)
    }

    /// The sum of the numbers of the group at entry `k`, where it was found in rounding.
    pub(super) fn sum(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Option<Val> {
        if !shape.rounded {
            return None;
        }
        let record = self.record(f, shape, k);
        let first = byte(f, record, Record::sum(self.group, 0));
        let p = if self.group == STRIP {
            first
        } else {
            let (strip, group) = (f.i64(STRIP.into()), f.i64(self.group.into()));
            let column = f.urem(k, strip);
            let number = f.udiv(column, group);
            f.gep(first, number, Scalar::F32)
        };
        Some(f.load(p, Ty::F32))
    }

    /// The block at entry `k`, as [`Records::product`] takes it: what sums begin with, then the registers of each digit.
    pub(super) fn block(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Vec<Val> {
        let record = self.record(f, shape, k);
        let mut all = self.starts(f, record);
        all.extend(self.integers_of_vector(f, record));
        all
    }

    /// The registers of each digit of a record.
    pub(super) fn integers_of_vector(&self, f: &mut Func, record: Val) -> Vec<Val> {
        let bytes = i64::from(self.entries()) * self.dot.digit().bytes();
        let registers = self.starts_at() / bytes;
        let register = |n| {
            let p = byte(f, record, n * bytes);
            f.load(p, self.register())
        };
        (0..registers).map(register).collect()
    }

    /// A register of integers.
    fn register(&self) -> Ty {
        Ty::V(self.entries(), self.dot.digit())
    }

    /// Its entries.
    fn entries(&self) -> u32 {
        self.lanes * self.dot.per_lane()
    }

    /// A register of sums.
    pub(super) fn of_sums(&self) -> Ty {
        Ty::V(self.lanes, Scalar::I32)
    }

    /// Registers of sums of a block: one, unless groups are whole registers of integers.
    pub(super) fn sums(&self) -> u32 {
        if self.group >= self.entries() {
            STRIP / self.group
        } else {
            1
        }
    }

    /// What sums begin with: in fixed point of every lane, otherwise of every group in one of its lanes.
    fn starts(&self, f: &mut Func, record: Val) -> Vec<Val> {
        let none = f.zero(self.of_sums());
        let mut starts = vec![none; self.sums() as usize];
        if self.bias == 0 {
            return starts;
        }
        if let Place::Fixed(_) = self.place {
            for (n, start) in starts.iter_mut().enumerate() {
                let p = byte(f, record, self.start_at(n as i64));
                *start = f.load(p, none.ty);
            }
            return starts;
        }
        let groups = STRIP / self.group;
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

    /// What sums of a block in fixed point begin with, of the registers of its digits: what the bias of weights adds to them is taken away.
    pub(super) fn starts_of(&self, f: &mut Func, x: &[Val]) -> Vec<Val> {
        let bias = f.int(self.register(), self.bias as i8 as i64);
        let weights = vec![bias; x.len() / self.digits.count as usize];
        let none = f.zero(self.of_sums());
        let with = [vec![none; self.sums() as usize], x.to_vec()].concat();
        let sums = self.sums_of(f, &weights, &with);
        sums.into_iter().map(|sum| f.sub(none, sum)).collect()
    }

    /// The products of a block with integers: lanes that add up to those of its groups, those of a group beside each other.
    pub(super) fn products(&self, f: &mut Func, integers: &[Val], x: &[Val]) -> Vec<Val> {
        let sums = self.sums_of(f, integers, x);
        let real = |sum| f.convert(Cast::SignedToFloat, sum, Scalar::F32);
        sums.into_iter().map(real).collect()
    }

    /// The same as integers.
    fn sums_of(&self, f: &mut Func, integers: &[Val], x: &[Val]) -> Vec<Val> {
        let (starts, x) = x.split_at(self.sums() as usize);
        let digits: Vec<&[Val]> = x.chunks(integers.len()).collect();
        let of_sum = integers.len() / starts.len();
        let (none, places) = (f.zero(self.of_sums()), f.int(self.of_sums(), self.digits.places));
        let sum = |(n, start): (usize, &Val)| {
            let registers = n * of_sum..(n + 1) * of_sum;
            let mut sum = none;
            for (digit, x) in digits.iter().enumerate() {
                if digit > 0 {
                    sum = f.shl(sum, places);
                }
                if digit + 1 == digits.len() {
                    sum = f.add(sum, *start);
                }
                let factors = integers[registers.clone()].iter().zip(&x[registers.clone()]);
                let factors: Vec<[Val; 2]> = factors.map(|(q, x)| [*q, *x]).collect();
                sum = self.dot.add(f, &factors, sum);
            }
            sum
        };
        starts.iter().enumerate().map(sum).collect()
    }

    /// The bit of their bytes where the integers from weight `first` of a block on are multiplied.
    pub(super) fn place(&self, block: &Block, first: usize) -> usize {
        if self.in_place { block.low.place(first).1 } else { 0 }
    }

    /// The integers of a strip of the block of weights at `ptr`, from weight `first` on, as they are multiplied.
    pub(super) fn integers(&self, f: &mut Func, shape: &Shape<'_>, weights: Weights) -> Vec<Val> {
        let Weights { block, ptr, first } = weights;
        let of = Strip {
            block,
            first,
            bias: self.bias,
            place: self.place(block, first),
        };
        let q = strip(f, &shape.target.micro_kernels, of, ptr);
        let part = |at: u32| {
            let of_part: Vec<i64> = (at..at + self.entries()).map(i64::from).collect();
            let part = f.shuffle(q, q, &of_part);
            match self.dot {
                Dot::Bytes(_) => part,
                Dot::Words(_) => f.convert(Cast::SignExtend, part, Scalar::I16),
            }
        };
        (0..STRIP).step_by(self.entries() as usize).map(part).collect()
    }
}
