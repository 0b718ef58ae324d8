//! What is read of the vector of a product with blocks.

use super::{dot::Dot, fixed, records::Records, shape::Shape};
use crate::{
    kernel::{Func, Scalar, Ty, Val},
    kernels::layout::Grouped,
};
use seqc_formats::Block;

/// The records of the vector, those that it has or others in fixed point; `None`: it is read as reals.
pub(super) fn records(f: &mut Func, shape: &Shape<'_>, block: &Block) -> Option<Records> {
    let records = Records::rounded(shape, Dot::of(shape, block)?, block);
    if shape.rounded {
        return Some(records);
    }
    let records = records.with_room(f, shape);
    fixed::write(f, shape, &records);
    Some(records)
}

/// The sums of so many consecutive elements of `x` each, times a factor. `records` are those of groups of so many.
pub(super) fn input_sums(f: &mut Func, shape: &Shape<'_>, records: Option<Records>, size: u32, factor: f32) -> Val {
    let factor = f.f32(factor);
    of_groups(f, shape, size, |f, k| {
        let of_record = records.and_then(|records| records.sum(f, shape, k));
        let total = of_record.unwrap_or_else(|| {
            let vectors = shape.block(f, k, size);
            let total = vectors[1..].iter().fold(vectors[0], |sum, v| f.add(sum, *v));
            f.reduce_add(total)
        });
        f.mul(total, factor)
    })
}

/// For groups of blocks the scales of their records, over the powers of two by which integers of weights are too large ([`Records::place`]).
pub(super) fn input_scales(f: &mut Func, shape: &Shape<'_>, records: Records, layout: Grouped) -> Val {
    let size = layout.groups.size as u32;
    let inverse = |group: u32| 0.5_f32.powi(records.place(layout.block, (group * size) as usize) as i32);
    let factors: Vec<f32> = (0..layout.count()).map(inverse).collect();
    let scales = of_groups(f, shape, size, |f, k| records.scale(f, shape, k));
    let (zero, per_group) = (f.i64(0), f.i64(size.into()));
    if factors.iter().any(|factor| *factor != 1.0) {
        f.for_each(zero, shape.k, layout.size.into(), |f, k| {
            let group = f.udiv(k, per_group);
            let p = f.gep(scales, group, Scalar::F32);
            let of_block = f.load(p, Ty::V(layout.count(), Scalar::F32));
            let factors = f.float_lanes(&factors);
            let of_block = f.mul(of_block, factors);
            f.store(of_block, p);
        });
    }
    scales
}

/// A number for so many consecutive elements of the vector each, which `number` makes for those from one on: computed once for all rows.
fn of_groups(f: &mut Func, shape: &Shape<'_>, size: u32, mut number: impl FnMut(&mut Func, Val) -> Val) -> Val {
    let (zero, per_group) = (f.i64(0), f.i64(size.into()));
    let count = f.udiv(shape.k, per_group);
    let numbers = f.stack_of(count, Scalar::F32);
    f.for_each(zero, shape.k, size.into(), |f, k| {
        let number = number(f, k);
        let at = f.udiv(k, per_group);
        let p = f.gep(numbers, at, Scalar::F32);
        f.store(number, p);
    });
    numbers
}
