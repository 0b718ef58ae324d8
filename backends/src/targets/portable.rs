//! Portable micro-kernels, and the target of no processor in particular, which has only those.

use super::{
    MicroKernels, Scaling,
    info::{Instructions, TargetInfo},
};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Val},
    kernels::{
        math::{
            Range,
            power_of_two::{fraction, limited, nearest, scaled_by_bits},
        },
        micro_kernel,
    },
    mlir,
};
use seqc_passes::machine::Machine;

/// What other targets are where they state nothing of their own.
pub const PORTABLE: TargetInfo = TargetInfo {
    machine: Machine::PORTABLE,
    micro_kernels: MicroKernels {
        low_nibbles,
        scaled_nibbles,
        nibbles,
        levels,
        exp2,
        dot_words: None,
        byte_products: None,
        fixed_point: |_| false,
        dot_pairs: None,
        matrix_units: None,
        product_tile: micro_kernel,
    },
    print: mlir::print,
    host: None,
    samples: false,
    instructions: Instructions {
        processor: "generic",
        features: "",
    },
};

/// `bytes & 15`, converted.
fn low_nibbles(f: &mut Func, bytes: Val, fifteen: Val) -> Val {
    let mask = f.splat(fifteen, bytes.ty.lanes());
    let low = f.and(bytes, mask);
    f.convert(Cast::SignedToFloat, low, Scalar::F32)
}

/// Both halves converted and scaled.
fn scaled_nibbles(f: &mut Func, bytes: Val, scaling: Scaling) -> [Val; 2] {
    let (fifteen, four) = (f.int(bytes.ty, 15), f.int(bytes.ty, 4));
    [f.and(bytes, fifteen), f.shr(bytes, four)].map(|q| {
        let q = f.convert(Cast::SignedToFloat, q, Scalar::F32);
        let offset = f.float(q.ty, scaling.offset);
        let q = if scaling.offset == 0.0 { q } else { f.add(q, offset) };
        scaling.of(f, q)
    })
}

/// Both halves behind one another.
fn nibbles(f: &mut Func, bytes: Val) -> Val {
    let (fifteen, four) = (f.int(bytes.ty, 15), f.int(bytes.ty, 4));
    let (low, high) = (f.and(bytes, fifteen), f.shr(bytes, four));
    f.shuffle(low, high, &(0..32).collect::<Vec<i64>>())
}

/// The level of each place: one half after another of those that are left is chosen by a bit.
fn levels(f: &mut Func, places: Val, levels: &[i8; 16]) -> Val {
    let none = f.zero(places.ty);
    let mut left: Vec<Val> = levels.iter().map(|level| f.int(places.ty, i64::from(*level))).collect();
    for bit in 0..4 {
        let mask = f.int(places.ty, 1 << bit);
        let of_bit = f.and(places, mask);
        let is_set = f.cmp(Cmp::Ne, of_bit, none);
        left = left.chunks(2).map(|pair| f.select(is_set, pair[1], pair[0])).collect();
    }
    left[0]
}

/// A polynomial of the fraction, scaled through the bits of the exponent: zero where that has none.
pub(super) fn exp2(f: &mut Func, x: Val, range: Range) -> Val {
    let low = match range {
        Range::Any => -126.0,
        Range::NotPositive => -127.0,
    };
    let x = limited(f, x, low..=128.0, range);
    let whole = nearest(f, x);
    let rest = f.sub(x, whole.value);
    let p = fraction(f, rest);
    scaled_by_bits(f, p, whole.shifted, range)
}
