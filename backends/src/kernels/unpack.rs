//! Blocks of groups with scales of their own: their integers as bytes on the stack, beside their scales.
//!
//! Bits are moved in vectors of bytes, 32 integers at once; from the stack, integers are widened as they are loaded.

use super::{
    bits::{Strip, strip},
    block_rows::BlockRows,
    dequant::byte,
    group_scales::GroupScales,
    layout::{Grouped, STRIP},
};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Val},
    targets::MicroKernels,
};

/// Memory on the stack for the integers of a block of some rows: a byte each, the offset added.
pub(super) struct Integers {
    layout: Grouped,
    /// `f32` lanes of a vector.
    lanes: u32,
    bytes: Val,
}

impl Integers {
    /// Memory for a block of each of `rows` rows.
    pub(super) fn new(f: &mut Func, layout: Grouped, lanes: u32, rows: u32) -> Integers {
        let bytes = f.i64((layout.size * rows).into());
        Integers {
            layout,
            lanes,
            bytes: f.stack_of(bytes, Scalar::I8),
        }
    }

    /// Puts the integers of a block of row `r` together.
    pub(super) fn unpack(&self, f: &mut Func, micro_kernels: &MicroKernels, block: Val, r: Val) {
        self.store(f, r, |f, first| {
            let of = Strip {
                first,
                ..Strip::whole(self.layout.block)
            };
            strip(f, micro_kernels, of, block)
        });
    }

    /// Makes those of row `r` zeros.
    fn clear(&self, f: &mut Func, r: Val) {
        let none = f.zero(Ty::V(STRIP, Scalar::I8));
        self.store(f, r, |_, _| none);
    }

    /// Stores the integers of row `r`, a strip at a time.
    fn store(&self, f: &mut Func, r: Val, strip_from: impl Fn(&mut Func, usize) -> Val) {
        let size = f.i64(self.layout.size.into());
        let at = f.mul(r, size);
        let to = f.gep(self.bytes, at, Scalar::I8);
        for first in (0..self.layout.size).step_by(STRIP as usize) {
            let integers = strip_from(f, first as usize);
            let to = byte(f, to, first.into());
            f.store(integers, to);
        }
    }

    /// Where the integers of row `r` are, from `column` of the block on.
    pub(super) fn place(&self, f: &mut Func, r: u32, column: Val) -> Val {
        let p = byte(f, self.bytes, (r * self.layout.size).into());
        f.gep(p, column, Scalar::I8)
    }

    /// The integers of a strip of row `r`, from `column` of the block on: a signed byte each.
    pub(super) fn strip(&self, f: &mut Func, r: u32, column: Val) -> Val {
        let p = self.place(f, r, column);
        f.load(p, Ty::V(STRIP, Scalar::I8))
    }

    /// A vector of the integers of row `r`, from `column` of the block on, as floats.
    pub(super) fn vector(&self, f: &mut Func, r: u32, column: Val) -> Val {
        let p = self.place(f, r, column);
        let q = f.load(p, Ty::V(self.lanes, Scalar::I8));
        let q = f.convert(Cast::SignExtend, q, Scalar::I32);
        f.convert(Cast::SignedToFloat, q, Scalar::F32)
    }
}

/// Memory on the stack for unpacked blocks of some rows.
pub(super) struct Unpacked {
    layout: Grouped,
    integers: Integers,
    scales: GroupScales,
}

impl Unpacked {
    /// Memory for a block of each of `rows` rows.
    pub(super) fn new(f: &mut Func, layout: Grouped, lanes: u32, rows: u32) -> Unpacked {
        Unpacked {
            layout,
            integers: Integers::new(f, layout, lanes, rows),
            scales: GroupScales::new(f, layout, lanes, rows),
        }
    }

    /// Unpacks the block of each row; zeros of those that do not exist.
    pub(super) fn unpack(&self, f: &mut Func, micro_kernels: &MicroKernels, rows: &BlockRows) {
        let (first, count) = (f.i64(0), f.i64(rows.count.into()));
        let read = |f: &mut Func, r: Val| {
            let block = rows.block(f, r);
            self.integers.unpack(f, micro_kernels, block, r);
            self.scales.unpack(f, block, r);
            Vec::new()
        };
        f.for_each(first, count, 1, |f, r| {
            let Some(valid) = rows.valid else {
                read(f, r);
                return;
            };
            let exists = f.cmp(Cmp::Lt, r, valid);
            f.if_else(
                exists,
                |f| read(f, r),
                |f| {
                    self.integers.clear(f, r);
                    self.scales.clear(f, r);
                    Vec::new()
                },
            );
        });
    }

    /// The 32 weights of row `r` from `column` of the block on, as vectors in order.
    pub(super) fn weights(&self, f: &mut Func, r: u32, column: Val) -> Vec<Val> {
        let size = self.layout.groups.size;
        let groups = (0..STRIP as usize).step_by(size).map(|shift| {
            let (shift, size) = (f.i64(shift as i64), f.i64(size as i64));
            let group = f.add(column, shift);
            let group = f.udiv(group, size);
            self.scales.scaling(f, r, group)
        });
        let groups: Vec<_> = groups.collect();
        let vector = |at: u32| {
            let scaling = groups[at as usize / size];
            let at = f.i64(at.into());
            let at = f.add(column, at);
            let q = self.integers.vector(f, r, at);
            match scaling.minimum {
                Some(minimum) => f.fma(q, scaling.scale, minimum),
                None => f.mul(q, scaling.scale),
            }
        };
        (0..STRIP).step_by(self.integers.lanes as usize).map(vector).collect()
    }
}
