//! Whether any of many vectors holds what is not finite, without a branch for each.

use crate::kernel::{Cmp, Func, Scalar, Val};

/// `found`, integers as wide as the reals of `x`, with the bits of NaN added where `x` is infinite or no number.
///
/// Zero times what is not finite is no number; joined by bits, since sums would wait for each other.
pub(crate) fn note(f: &mut Func, x: Val, found: Val) -> Val {
    let zero = f.zero(x.ty);
    let x = f.mul(x, zero);
    let x = f.bitcast(x, found.ty);
    f.or(x, found)
}

/// True unless something was [`note`]d, in any lane.
pub(crate) fn all_finite(f: &mut Func, found: Val) -> Val {
    let found = f.bitcast(found, found.ty.with(Scalar::F32));
    let sum = f.reduce_add(found);
    f.cmp(Cmp::Eq, sum, sum)
}
