//! What is read of the vector of a product with blocks.

use super::{records::Records, shape::Shape};
use crate::kernel::{Func, Scalar, Val};

/// The sums of so many consecutive elements of `x` each, times a factor; computed once for all rows.
pub(super) fn input_sums(f: &mut Func, shape: &Shape<'_>, size: u32, factor: f32) -> Val {
    let (zero, per_sum) = (f.i64(0), f.i64(size.into()));
    let count = f.udiv(shape.k, per_sum);
    let sums = f.stack_of(count, Scalar::F32);
    let records = shape.rounded.map(|weights| Records::new(shape, weights, size as usize));
    let factor = f.f32(factor);
    f.for_each(zero, shape.k, size.into(), |f, k| {
        let total = match records {
            Some(records) => records.sum(f, shape, k),
            None => {
                let vectors = shape.block(f, k, size);
                let total = vectors[1..].iter().fold(vectors[0], |sum, v| f.add(sum, *v));
                f.reduce_add(total)
            }
        };
        let total = f.mul(total, factor);
        let at = f.udiv(k, per_sum);
        let p = f.gep(sums, at, Scalar::F32);
        f.store(total, p);
    });
    sums
}
