//! Scales of the groups of blocks, as floats on the stack.
//!
//! A scale is the f16 of the block times the factor of its group, a product of so few bits that f32 holds it exactly.

use super::{
    bits::{nibbles, six_bit_scales, six_bits, six_bits_apart},
    dequant::{byte, half_to_float},
    layout::Grouped,
};
use crate::kernel::{Cast, Func, Scalar, Ty, Val};
use seqc_formats::Factors;

/// Memory on the stack for the scales of a block of some rows.
pub(super) struct GroupScales {
    layout: Grouped,
    /// `f32` lanes of a vector.
    lanes: u32,
    scales: Val,
    /// What is added to the numbers of each group, in encodings that have it.
    minima: Option<Val>,
}

/// Scale of a group, and what is added to its numbers, in all lanes; or those of several groups.
#[derive(Clone, Copy)]
pub(super) struct Scaling {
    pub(super) scale: Val,
    pub(super) minimum: Option<Val>,
}

impl GroupScales {
    /// Memory for a block of each of `rows` rows.
    pub(super) fn new(f: &mut Func, layout: Grouped, lanes: u32, rows: u32) -> GroupScales {
        let groups = f.i64((layout.count() * rows).into());
        GroupScales {
            layout,
            lanes,
            scales: f.stack_of(groups, Scalar::F32),
            minima: layout.block.minimum.map(|_| f.stack_of(groups, Scalar::F32)),
        }
    }

    /// Computes the scales of a block of row `r`.
    pub(super) fn unpack(&self, f: &mut Func, block: Val, r: Val) {
        let of_groups = self.read(f, block);
        self.store(f, r, of_groups);
    }

    /// Those of a block, a lane for each group.
    pub(super) fn read(&self, f: &mut Func, block: Val) -> Scaling {
        let description = self.layout.block;
        let (of_scale, of_minimum) = self.factors(f, block);
        let scale = self.half(f, block, description.scale);
        let scales = product(f, of_scale, scale);
        let minimum = description.minimum.zip(of_minimum).map(|(at, factors)| {
            let minimum = self.half(f, block, at);
            let minimum = f.neg(minimum);
            product(f, factors, minimum)
        });
        Scaling { scale: scales, minimum }
    }

    /// Makes the scales of row `r` zeros.
    pub(super) fn clear(&self, f: &mut Func, r: Val) {
        let none = f.zero(Ty::V(self.layout.count(), Scalar::F32));
        let of_groups = Scaling {
            scale: none,
            minimum: self.minima.map(|_| none),
        };
        self.store(f, r, of_groups);
    }

    /// Keeps those of a block of row `r`; minima only where there are some.
    pub(super) fn store(&self, f: &mut Func, r: Val, of_groups: Scaling) {
        let Scaling { scale, minimum } = of_groups;
        let groups = f.i64(self.layout.count().into());
        let at = f.mul(r, groups);
        for (values, to) in [Some(scale).zip(Some(self.scales)), minimum.zip(self.minima)]
            .into_iter()
            .flatten()
        {
            let to = f.gep(to, at, Scalar::F32);
            f.store(values, to);
        }
    }

    /// The f16 at a byte of a block, for each group.
    fn half(&self, f: &mut Func, block: Val, at: usize) -> Val {
        let p = byte(f, block, at as i64);
        let half = f.load(p, Ty::S(Scalar::I16));
        let half = f.splat(half, self.layout.count());
        half_to_float(f, half)
    }

    /// The factor of each group's scale, and of its minimum, as integers.
    fn factors(&self, f: &mut Func, block: Val) -> (Val, Option<Val>) {
        let p = byte(f, block, self.layout.groups.start as i64);
        match self.layout.groups.factors {
            Factors::Bytes => {
                let factors = f.load(p, Ty::V(self.layout.count(), Scalar::I8));
                (f.convert(Cast::SignExtend, factors, Scalar::I32), None)
            }
            Factors::SixBits => {
                let [of_scale, of_minimum] = six_bits(f, p);
                (of_scale, Some(of_minimum))
            }
            Factors::Nibbles => {
                let [of_scale, of_minimum] = nibbles(f, p, self.layout.count());
                (of_scale, Some(of_minimum))
            }
            Factors::SixBitScales => (six_bit_scales(f, p), None),
            Factors::SixBitsApart => (six_bits_apart(f, p), None),
        }
    }

    /// The scale of a group of row `r`, in all lanes.
    pub(super) fn scale(&self, f: &mut Func, r: u32, group: Val) -> Val {
        self.of_group(f, self.scales, r, group)
    }

    /// Those of group `first` of row `r` and the next one, in the halves of a vector.
    pub(super) fn of_two(&self, f: &mut Func, r: u32, first: u32) -> Val {
        let both = [first, first + 1].map(|group| {
            let group = f.i64(group.into());
            self.scale(f, r, group)
        });
        let (half, lanes) = (i64::from(self.lanes / 2), i64::from(self.lanes));
        let halves: Vec<i64> = (0..half).chain(lanes..lanes + half).collect();
        f.shuffle(both[0], both[1], &halves)
    }

    /// All that makes numbers of the integers of a group of row `r`.
    pub(super) fn scaling(&self, f: &mut Func, r: u32, group: Val) -> Scaling {
        Scaling {
            scale: self.scale(f, r, group),
            minimum: self.minima.map(|minima| self.of_group(f, minima, r, group)),
        }
    }

    /// The scales of a group of all rows, as many as there are lanes, and what is added to their numbers.
    pub(super) fn of_rows(&self, f: &mut Func, group: Val) -> [Option<Val>; 2] {
        let rows = |f: &mut Func, values: Val| {
            let mut all = f.zero(Ty::V(self.lanes, Scalar::F32));
            for r in 0..self.lanes {
                let p = byte(f, values, (4 * r * self.layout.count()).into());
                let p = f.gep(p, group, Scalar::F32);
                let value = f.load(p, Ty::F32);
                all = f.insert(value, all, r.into());
            }
            all
        };
        [Some(rows(f, self.scales)), self.minima.map(|minima| rows(f, minima))]
    }

    fn of_group(&self, f: &mut Func, values: Val, r: u32, group: Val) -> Val {
        let p = byte(f, values, (4 * r * self.layout.count()).into());
        let p = f.gep(p, group, Scalar::F32);
        let value = f.load(p, Ty::F32);
        f.splat(value, self.lanes)
    }
}

/// Integer factors times a number.
fn product(f: &mut Func, factors: Val, number: Val) -> Val {
    let factors = f.convert(Cast::SignedToFloat, factors, Scalar::F32);
    f.mul(factors, number)
}
