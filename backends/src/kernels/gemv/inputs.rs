//! What is read of the vector of a product with blocks.

use super::{dot::Dot, fixed, records::Records, shape::Shape};
use crate::kernel::{Func, Scalar, Val};

/// The records of the vector, those that it has or others in fixed point, for weights as in [`Records::rounded`]; `None`: it is read as reals.
pub(super) fn records(f: &mut Func, shape: &Shape<'_>, group: u32, offset: Option<f32>) -> Option<Records> {
    let records = Records::rounded(shape, Dot::of(shape)?, group, offset);
    if shape.rounded {
        return Some(records);
    }
    let records = records.with_room(f, shape);
    fixed::write(f, shape, &records);
    Some(records)
}

/// The sums of so many consecutive elements of `x` each, times a factor; computed once for all rows. `records` are those of groups of so many.
pub(super) fn input_sums(f: &mut Func, shape: &Shape<'_>, records: Option<Records>, size: u32, factor: f32) -> Val {
    let (zero, per_sum) = (f.i64(0), f.i64(size.into()));
    let count = f.udiv(shape.k, per_sum);
    let sums = f.stack_of(count, Scalar::F32);
    let factor = f.f32(factor);
    f.for_each(zero, shape.k, size.into(), |f, k| {
        let of_record = records.and_then(|records| records.sum(f, shape, k));
        let total = of_record.unwrap_or_else(|| {
            let vectors = shape.block(f, k, size);
            let total = vectors[1..].iter().fold(vectors[0], |sum, v| f.add(sum, *v));
            f.reduce_add(total)
        });
        let total = f.mul(total, factor);
        let at = f.udiv(k, per_sum);
        let p = f.gep(sums, at, Scalar::F32);
        f.store(total, p);
    });
    sums
}
