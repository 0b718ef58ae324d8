//! Values that are NaN or infinite behind a mask: sums that leave out the values of keys that a query does not see.
//!
//! The product of a tile multiplies every value by a weight, zero where the key is masked; zero times NaN or infinity
//! is NaN. That shows in the sums: a block whose sums are all finite is done. Otherwise it is computed once more, with
//! products that skip the weights that are [`MASKED`]. So only blocks with such values take longer.

use super::{
    blocks::{Block, PageRange, QueryBlocks},
    layout::{float_at, numbers_at, row_at},
    score::MASKED,
    tile::{Init, Shape},
    variant::Attend,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{
        dequant::plain_vector,
        finite::{all_finite, note},
    },
};

/// Adds a function with the parameters of [`super::tile::product`], which does the same but for masked weights; returns
/// its name. It adds up in the same order.
pub(super) fn product(module: &mut Module, name: String, shape: &Shape) -> String {
    let mut f = Func::new(&name, &shape.params(), None);
    let [a, b, c, k, factors, rows]: [Val; 6] = [0, 1, 2, 3, 4, 5].map(|n| f.param(n));
    let ty = Ty::V(shape.lanes, Scalar::F32);
    let (zero, one) = (f.i64(0), f.i64(1));
    f.for_each(zero, rows, 1, |f, r| {
        let (weights, out) = (row_at(f, a, r, shape.lda), row_at(f, c, r, shape.ldc));
        let width = f.i64(shape.width as i64);
        f.for_each(zero, width, i64::from(shape.lanes), |f, column| {
            let (values, to) = (f.gep(b, column, shape.stored.scalar()), f.gep(out, column, Scalar::F32));
            let old = f.load(to, ty);
            let start = if shape.init == Init::Scale {
                let p = f.gep(factors, r, Scalar::F32);
                let factor = f.load(p, Ty::F32);
                let factor = f.splat(factor, shape.lanes);
                f.mul(old, factor)
            } else {
                old
            };
            let sums = f.for_loop(zero..k, one, &[start], |f, key, sums| {
                let p = f.gep(weights, key, Scalar::F32);
                let weight = f.load(p, Ty::F32);
                let masked = is_masked(f, weight);
                let p = numbers_at(f, values, key, shape.ldb, shape.stored.scalar());
                let weight = f.splat(weight, shape.lanes);
                let value = plain_vector(f, shape.stored, p, shape.lanes, None);
                let sum = f.fma(weight, value, sums[0]);
                vec![f.select(masked, sums[0], sum)]
            });
            f.store(sums[0], to);
        });
    });
    module.add(f);
    name
}

fn is_masked(f: &mut Func, weight: Val) -> Val {
    let bits = f.bitcast(weight, Ty::S(Scalar::I32));
    let masked = f.int(bits.ty, i64::from(MASKED.to_bits() as i32));
    f.cmp(Cmp::Eq, bits, masked)
}

impl QueryBlocks<'_> {
    /// A block from the beginning over some pages; once more without the values of masked keys where sums are not finite.
    pub(super) fn sum_pages(&self, f: &mut Func, block: Block, range: PageRange) {
        if !self.attend.spec.has_values() {
            let skip_masked = f.i1(false);
            self.initialise(f, block);
            return self.add_pages(f, block, range, skip_masked);
        }
        twice(f, |f, skip_masked| {
            self.initialise(f, block);
            self.add_pages(f, block, range, skip_masked);
            let sums = float_at(f, self.mine, self.scratch.sums);
            is_finite(f, self.attend, sums, block)
        });
    }
}

/// Writes `body`, which gets whether values of masked keys are skipped and returns whether its sums are finite: without them,
/// and once more with them where sums are not finite.
pub(super) fn twice(f: &mut Func, body: impl FnOnce(&mut Func, Val) -> Val) {
    let (zero, one, two, needed) = (f.i64(0), f.i64(1), f.i64(2), f.i1(true));
    f.for_loop(zero..two, one, &[needed], |f, round, needed| {
        f.if_else(
            needed[0],
            |f| {
                let skip_masked = f.cmp(Cmp::Eq, round, one);
                let finite = body(f, skip_masked);
                vec![f.not(finite)]
            },
            |f| vec![f.i1(false)],
        )
    });
}

/// True unless a sum of the block is infinite or no number.
pub(super) fn is_finite(f: &mut Func, attend: &Attend, sums: Val, block: Block) -> Val {
    let lanes = attend.lanes();
    let (ty, bits) = (Ty::V(lanes, Scalar::F32), Ty::V(lanes, Scalar::I32));
    let width = f.i64(attend.value_width() as i64);
    let (end, zero) = (f.mul(block.rows, width), f.i64(0));
    let step = f.i64(i64::from(lanes));
    let none = f.zero(bits);
    let found = f.for_loop(zero..end, step, &[none], |f, at, found| {
        let p = f.gep(sums, at, Scalar::F32);
        let x = f.load(p, ty);
        vec![note(f, x, found[0])]
    });
    all_finite(f, found[0])
}
