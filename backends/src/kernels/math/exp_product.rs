//! `e^(a b)`.

use super::range::Range;
use crate::{
    kernel::{Func, Ty, Val},
    targets::MicroKernels,
};

/// `e^(a b)`: for the power of two only one factor is scaled, so that a loop over the other does it once. The product is
/// rounded like any other, which for large results says more than the error of the function.
pub fn exp_product(f: &mut Func, a: Val, b: Val, range: Range, micro_kernels: &MicroKernels) -> Val {
    let log2e = f.float(a.ty, std::f32::consts::LOG2_E);
    let a = f.mul(a, log2e);
    let (a, b) = match (a.ty, b.ty) {
        (Ty::V(n, _), Ty::S(_)) => (a, f.splat(b, n)),
        (Ty::S(_), Ty::V(n, _)) => (f.splat(a, n), b),
        _ => (a, b),
    };
    let x = f.mul(a, b);
    (micro_kernels.exp2)(f, x, range)
}
