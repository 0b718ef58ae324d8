//! Micro-kernels by instructions of AVX-512, for vectors of whole registers; smaller ones are computed as on every processor.

use crate::{
    kernel::{Func, Intrinsic, Scalar, Ty, Unary, Val},
    kernels::math::{
        Range,
        power_of_two::{fraction, limited},
    },
    targets::{PORTABLE, Scaling},
};
use seqc_formats::Block;

/// `f32` lanes of a register.
const LANES: u32 = 16;

/// A look-up in a table of sixteen reals, which takes the lower four bits of each index.
pub(super) fn low_nibbles(f: &mut Func, bytes: Val, fifteen: Val) -> Val {
    if bytes.ty.lanes() != LANES {
        return (PORTABLE.micro_kernels.low_nibbles)(f, bytes, fifteen);
    }
    let table = nibbles(f, 0.0);
    f.intrinsic(Intrinsic::Permute, &[table, bytes])
}

/// The numbers of four bits, in order, and an offset.
fn nibbles(f: &mut Func, offset: f32) -> Val {
    let numbers: Vec<f32> = (0..16u8).map(|q| f32::from(q) + offset).collect();
    f.float_lanes(&numbers)
}

/// Look-ups in a table of the sixteen results.
pub(super) fn scaled_nibbles(f: &mut Func, bytes: Val, scaling: Scaling) -> [Val; 2] {
    if bytes.ty.lanes() != LANES {
        return (PORTABLE.micro_kernels.scaled_nibbles)(f, bytes, scaling);
    }
    let table = nibbles(f, scaling.offset);
    let table = scaling.of(f, table);
    let four = f.int(bytes.ty, 4);
    let high = f.shr(bytes, four);
    [bytes, high].map(|q| f.intrinsic(Intrinsic::Permute, &[table, q]))
}

/// All but blocks whose integers a look-up makes reals ([`low_nibbles`]), which takes no longer.
pub(super) fn fixed_point(block: &Block) -> bool {
    let of_nibbles = block.bits() == 4 && block.levels.is_none();
    !(of_nibbles && block.groups.is_none())
}

/// One instruction: the weights have no sign.
pub(super) fn dot_bytes(f: &mut Func, sums: Val, weights: Val, x: Val) -> Val {
    f.intrinsic(Intrinsic::DotUnsignedBytes, &[sums, weights, x])
}

/// One instruction.
pub(super) fn dot_pairs(f: &mut Func, sums: Val, a: Val, b: Val) -> Val {
    f.intrinsic(Intrinsic::DotBf16, &[sums, a, b])
}

/// A polynomial of the fraction, scaled by an instruction that knows powers below those of floats, too.
pub(super) fn exp2(f: &mut Func, x: Val, range: Range) -> Val {
    if x.ty.lanes() < LANES {
        return (PORTABLE.micro_kernels.exp2)(f, x, range);
    }
    let x = limited(f, x, -150.0..=128.0, range);
    let whole = f.unary(Unary::RoundEven, x);
    let rest = f.sub(x, whole);
    let p = fraction(f, rest);
    scaled(f, p, whole)
}

/// `p 2^n` for a whole `n`, register by register.
fn scaled(f: &mut Func, p: Val, n: Val) -> Val {
    let lanes = p.ty.lanes();
    if lanes > LANES {
        let half = i64::from(lanes / 2);
        let (low, high): (Vec<i64>, Vec<i64>) = ((0..half).collect(), (half..2 * half).collect());
        let part = |f: &mut Func, lanes: &[i64]| {
            let (p, n) = (f.shuffle(p, p, lanes), f.shuffle(n, n, lanes));
            scaled(f, p, n)
        };
        let (low, high) = (part(f, &low), part(f, &high));
        let all: Vec<i64> = (0..2 * half).collect();
        return f.shuffle(low, high, &all);
    }
    let (all, current) = (f.int(Ty::S(Scalar::I16), -1), f.int(Ty::S(Scalar::I32), 4));
    f.intrinsic(Intrinsic::ScaleByPower, &[p, n, p, all, current])
}
