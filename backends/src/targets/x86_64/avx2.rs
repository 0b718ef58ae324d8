//! Micro-kernels by instructions of AVX2, for vectors of whole registers.

use crate::kernel::{Func, Intrinsic, Scalar, Ty, Val};

/// Words of a register.
const WORDS: u32 = 16;

/// Words of 32 bits twice, the second time moved: bits of other bytes are masked away.
pub(super) fn nibbles(f: &mut Func, bytes: Val) -> Val {
    let words = f.bitcast(bytes, Ty::V(4, Scalar::I32));
    let twice = f.shuffle(words, words, &[0, 1, 2, 3, 0, 1, 2, 3]);
    let places = f.lanes(Scalar::I32, &[0, 0, 0, 0, 4, 4, 4, 4]);
    let moved = f.shr(twice, places);
    let moved = f.bitcast(moved, Ty::V(32, Scalar::I8));
    let fifteen = f.int(moved.ty, 15);
    f.and(moved, fifteen)
}

/// One instruction, which looks up in each half of a register.
pub(super) fn levels(f: &mut Func, places: Val, levels: &[i8; 16]) -> Val {
    let table = levels.map(i64::from).repeat(2);
    let table = f.lanes(Scalar::I8, &table);
    f.intrinsic(Intrinsic::PermuteBytes, &[table, places])
}

/// Products of bytes of which only one has a sign: weights give theirs to the activations. No sum of two is limited, `2 128 127 < 2^15`.
pub(super) fn dot_bytes(f: &mut Func, sums: Val, weights: Val, x: Val) -> Val {
    let sizes = f.intrinsic(Intrinsic::TakeSign, &[weights, weights]);
    let signed = f.intrinsic(Intrinsic::TakeSign, &[x, weights]);
    let none = f.zero(Ty::V(WORDS, Scalar::I16));
    let pairs = dot_pairs(f, none, sizes, signed);
    widen(f, sums, pairs, 1)
}

/// One instruction, and an addition.
pub(super) fn dot_pairs(f: &mut Func, sums: Val, weights: Val, x: Val) -> Val {
    f.intrinsic(Intrinsic::DotUnsignedPairs, &[sums, weights, x])
}

/// Products with the same number.
pub(super) fn widen(f: &mut Func, sums: Val, pairs: Val, factor: i64) -> Val {
    let factor = f.int(pairs.ty, factor);
    f.intrinsic(Intrinsic::DotWords, &[sums, pairs, factor])
}
