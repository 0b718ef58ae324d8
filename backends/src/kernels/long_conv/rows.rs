//! Rows of panels: one vector each, behind one another or page by page.

use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_abi::PAGE_TOKENS;

/// Panels of states lie page by page: where row `row` of a panel is, whose first page is at `panel`.
pub(super) fn row_of(f: &mut Func, panel: Val, page: Val, row: Val, lanes: u32) -> Val {
    let size = f.i64(PAGE_TOKENS as i64);
    let (number, inside) = (f.udiv(row, size), f.urem(row, size));
    let start = f.mul(number, page);
    let lanes = f.i64(i64::from(lanes));
    let inside = f.mul(inside, lanes);
    let at = f.add(start, inside);
    f.gep(panel, at, Scalar::F32)
}

/// Pointer to row `row` of rows of one vector.
pub(super) fn rows(f: &mut Func, base: Val, row: Val, lanes: u32) -> Val {
    let lanes = f.i64(i64::from(lanes));
    let at = f.mul(row, lanes);
    f.gep(base, at, Scalar::F32)
}

/// The same, `row` known when compiling.
pub(super) fn rows_at(f: &mut Func, base: Val, row: usize, lanes: u32) -> Val {
    if row == 0 {
        return base;
    }
    let at = f.i64((row * lanes as usize) as i64);
    f.gep(base, at, Scalar::F32)
}

/// A vector of reals.
pub(super) fn vector(lanes: u32) -> Ty {
    Ty::V(lanes, Scalar::F32)
}
