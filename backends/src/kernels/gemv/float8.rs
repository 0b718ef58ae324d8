//! Rows of blocks of floats of eight bits times a vector: the product of each block's numbers, times its scale.

use super::shape::Shape;
use crate::{
    kernel::{Cache, Func, Scalar, Ty, Val},
    kernels::{float8, layout::STRIP},
};
use seqc_formats::Float8;

/// For each row a vector whose lanes add up to its product with `x`.
pub(super) fn row_sums(f: &mut Func, shape: &Shape<'_>, kind: Float8, rows: &[Val]) -> Vec<Val> {
    let init = vec![f.zero(Ty::V(shape.lanes, Scalar::F32)); rows.len()];
    let (start, step) = (f.i64(0), f.i64(STRIP.into()));
    f.for_loop(start..shape.k, step, &init, |f, k, sums| {
        let x = shape.block(f, k, STRIP);
        let offset = shape.offset(f, k);
        shape.prefetch(f, rows, offset, shape.encoding.block_bytes() as i64, Cache::Second);
        let each = rows.iter().zip(sums).map(|(row, sum)| {
            let ptr = f.gep(*row, offset, Scalar::I8);
            let numbers = float8::numbers(f, kind, ptr, shape.lanes);
            let mut dot = f.mul(numbers[0], x[0]);
            for (q, x) in numbers.iter().zip(&x).skip(1) {
                dot = f.fma(*q, *x, dot);
            }
            let scale = float8::scale(f, kind, ptr);
            let scale = f.splat(scale, shape.lanes);
            f.fma(scale, dot, *sum)
        });
        each.collect()
    })
}
