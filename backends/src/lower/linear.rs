//! Affine index expressions as code.

use super::space::{Axis, Space};
use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_passes::affine::{AffineExpr, Atom};

/// The value of an index: at lane 0, or with `lanes` given for every lane.
pub(super) fn evaluate(f: &mut Func, space: &Space, at: &AffineExpr, lanes: Option<u32>) -> Val {
    let ty = lanes.map_or(Ty::I64, |n| Ty::V(n, Scalar::I64));
    let mut constant = at.constant;
    let mut sum: Option<Val> = None;
    for (atom, k) in &at.terms {
        if let Atom::Axis(n) = atom
            && let Axis::Fixed(value) = space.axes[*n]
        {
            constant += value * k;
            continue;
        }
        let value = atom_value(f, space, atom, lanes);
        let term = if *k == 1 {
            value
        } else {
            let k = f.int(ty, *k);
            f.mul(value, k)
        };
        sum = Some(sum.map_or(term, |s| f.add(s, term)));
    }
    match sum {
        None => f.int(ty, constant),
        Some(sum) if constant == 0 => sum,
        Some(sum) => {
            let constant = f.int(ty, constant);
            f.add(sum, constant)
        }
    }
}

fn atom_value(f: &mut Func, space: &Space, atom: &Atom, lanes: Option<u32>) -> Val {
    match atom {
        Atom::Axis(n) => axis_value(f, space, *n, lanes),
        Atom::Div(x, k) => {
            let (shifted, by) = not_negative(f, space, x, *k, lanes);
            let (quotient, back) = {
                let divisor = f.int(shifted.ty, *k);
                (f.udiv(shifted, divisor), f.int(shifted.ty, by))
            };
            if by == 0 { quotient } else { f.sub(quotient, back) }
        }
        Atom::Mod(x, k) => {
            let (shifted, _) = not_negative(f, space, x, *k, lanes);
            let divisor = f.int(shifted.ty, *k);
            f.urem(shifted, divisor)
        }
    }
}

/// `x` plus a multiple of `k` that makes it positive, and which multiple.
fn not_negative(f: &mut Func, space: &Space, x: &AffineExpr, k: i64, lanes: Option<u32>) -> (Val, i64) {
    let (low, _) = x.range(&space.sizes);
    let by = if low < 0 { (-low + k - 1) / k } else { 0 };
    (evaluate(f, space, &x.plus(&AffineExpr::constant(by * k)), lanes), by)
}

fn axis_value(f: &mut Func, space: &Space, n: usize, lanes: Option<u32>) -> Val {
    let value = match space.axes[n] {
        Axis::At(v) => v,
        Axis::Fixed(value) => f.i64(value),
    };
    match lanes {
        None => value,
        Some(lanes) if space.lane == Some(n) => {
            let (first, iota) = (f.splat(value, lanes), f.iota(lanes));
            f.add(first, iota)
        }
        Some(lanes) => f.splat(value, lanes),
    }
}
