//! Rows of plain numbers (f32, f16, bf16) times a vector.

use super::shape::Shape;
use crate::{
    kernel::{Cache, Cmp, Func, Scalar, Ty, Val},
    kernels::{dequant::plain_vector, layout::Plain},
};

/// For each row a vector whose lanes add up to its product with `x`.
pub(super) fn row_sums(f: &mut Func, shape: &Shape<'_>, plain: Plain, rows: &[Val]) -> Vec<Val> {
    let kernel = Rows { shape, plain, rows };
    let lanes = i64::from(shape.lanes);
    let sums = &shape.target.machine.matrix_vector;
    let unroll = match rows.len() {
        1 => sums.single_row_sums as usize,
        _ => sums.plain_sums as usize,
    };
    let bytes = shape.encoding.block_bytes() as i64 * lanes * unroll as i64;
    let zero = f.zero(Ty::V(shape.lanes, Scalar::F32));
    let init = vec![zero; rows.len() * unroll];
    let (start, long, short) = (f.i64(0), f.i64(lanes * unroll as i64), f.i64(lanes));
    let rest = f.urem(shape.k, long);
    let whole = f.sub(shape.k, rest);
    let sums = f.for_loop(start..whole, long, &init, |f, k, sums| {
        let mut next = sums.to_vec();
        let offset = shape.offset(f, k);
        shape.prefetch(f, rows, offset, bytes, Cache::Second);
        for (u, next) in next.chunks_mut(rows.len()).enumerate() {
            let shift = f.i64(lanes * u as i64);
            let at = f.add(k, shift);
            kernel.step(f, at, None, next);
        }
        next
    });
    let mut one: Vec<Val> = sums[..rows.len()].to_vec();
    for more in sums[rows.len()..].chunks(rows.len()) {
        for (sum, more) in one.iter_mut().zip(more) {
            *sum = f.add(*sum, *more);
        }
    }
    let tail = f.urem(shape.k, short);
    let even = f.sub(shape.k, tail);
    let one = f.for_loop(whole..even, short, &one, |f, k, sums| {
        let mut next = sums.to_vec();
        kernel.step(f, k, None, &mut next);
        next
    });
    let some = f.cmp(Cmp::Gt, tail, start);
    f.if_else(
        some,
        |f| {
            let mask = f.tail_mask(tail, shape.lanes);
            let mut next = one.clone();
            kernel.step(f, even, Some(mask), &mut next);
            next
        },
        |_| one.clone(),
    )
}

/// Rows of one encoding.
struct Rows<'a> {
    shape: &'a Shape<'a>,
    plain: Plain,
    rows: &'a [Val],
}

impl Rows<'_> {
    /// Adds the products of one vector of columns, those of the mask when there is one.
    fn step(&self, f: &mut Func, k: Val, mask: Option<Val>, sums: &mut [Val]) {
        let (shape, ty) = (self.shape, self.shape.vector());
        let p = f.gep(shape.x, k, Scalar::F32);
        let x = match mask {
            None => f.load(p, ty),
            Some(mask) => f.masked_load(p, mask, ty),
        };
        let offset = shape.offset(f, k);
        for (row, sum) in self.rows.iter().zip(sums) {
            let p = f.gep(*row, offset, Scalar::I8);
            let w = plain_vector(f, self.plain, p, shape.lanes, mask);
            *sum = f.fma(w, x, *sum);
        }
    }
}
