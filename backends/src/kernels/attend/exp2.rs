//! Powers of two and maxima of vectors of scores.

use crate::kernel::{Func, Scalar, Val};

/// Adding it to a small float leaves the nearest integer in the low bits of the sum: 1.5 * 2^23.
const MAGIC: f32 = 12_582_912.0;
/// `2^r` for `|r| <= 1/2`, highest power first.
const EXP2: [f32; 6] = [
    1.327_647_2e-3,
    9.675_541e-3,
    5.550_713e-2,
    0.240_221_2,
    0.693_146_94,
    1.0,
];

/// The largest lane; halves are cheaper than lane after lane.
pub(super) fn largest_lane(f: &mut Func, mut v: Val) -> Val {
    while v.ty.lanes() > 1 {
        let half = i64::from(v.ty.lanes() / 2);
        let (low, high): (Vec<i64>, Vec<i64>) = ((0..half).collect(), (half..2 * half).collect());
        let (low, high) = (f.shuffle(v, v, &low), f.shuffle(v, v, &high));
        v = f.max(low, high);
    }
    f.extract(v, 0)
}

/// `2^x` for `x <= 0` to some 2e-7, a fit of degree 5; 0 below 2^-126. NaN for NaN.
pub(super) fn exp2(f: &mut Func, x: Val) -> Val {
    let ty = x.ty;
    let (low, magic) = (f.float(ty, -127.0), f.float(ty, MAGIC));
    let x = f.max(low, x);
    let shifted = f.add(x, magic);
    let n = f.sub(shifted, magic);
    let r = f.sub(x, n);
    let mut p = f.float(ty, EXP2[0]);
    for c in &EXP2[1..] {
        let c = f.float(ty, *c);
        p = f.fma(p, r, c);
    }
    let bits = f.bitcast(shifted, ty.with(Scalar::I32));
    let (bias, places) = (f.int(bits.ty, 127), f.int(bits.ty, 23));
    let bits = f.add(bits, bias);
    let bits = f.shl(bits, places);
    let scale = f.bitcast(bits, ty);
    f.mul(p, scale)
}
