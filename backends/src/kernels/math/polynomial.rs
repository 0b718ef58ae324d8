//! What the polynomials of elementary functions share.

use crate::kernel::{Func, Val};

/// Adding it to a small float leaves the nearest integer in the low bits of the sum: 1.5 * 2^23.
pub(super) const MAGIC: f32 = 12_582_912.0;

/// `c[0] x^n + … + c[n]`.
pub(super) fn horner(f: &mut Func, x: Val, coefficients: &[f32]) -> Val {
    let mut sum = f.float(x.ty, coefficients[0]);
    for c in &coefficients[1..] {
        let c = f.float(x.ty, *c);
        sum = f.fma(sum, x, c);
    }
    sum
}
