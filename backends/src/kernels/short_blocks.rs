//! Reading blocks of 32 weights with a common scale as f32 vectors.

use super::{
    bits::{Strip, strip},
    dequant::{byte, half_to_float, power_to_float},
    layout::{Block, Integers},
};
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Val},
    targets::{Scaling, TargetInfo},
};
use seqc_formats::Unit;

/// The 32 weights of the block at `ptr` as vectors of as many floats as the target has lanes, in order.
pub(super) fn block_vectors(f: &mut Func, target: &TargetInfo, block: Block, ptr: Val) -> Vec<Val> {
    let lanes = target.machine.lanes;
    let half = |f: &mut Func, at: i64| {
        let p = byte(f, ptr, at);
        let half = f.load(p, Ty::S(Scalar::I16));
        let half = f.splat(half, lanes);
        half_to_float(f, half)
    };
    let scale = match block.unit {
        Unit::Half => half(f, 0),
        Unit::Power => {
            let e = f.load(ptr, Ty::S(Scalar::I8));
            let e = f.convert(Cast::ZeroExtend, e, Scalar::I32);
            let e = f.splat(e, lanes);
            power_to_float(f, e)
        }
    };
    let minimum = block.minimum.map(|at| half(f, at));
    let integers = match block.integers {
        Integers::Bytes => {
            let integers = byte(f, ptr, block.start);
            block_bytes(f, integers, lanes)
        }
        Integers::Bits => {
            let bytes = strip(f, &target.micro_kernels, Strip::whole(block.description), ptr);
            floats(f, bytes, lanes)
        }
        Integers::Nibbles => {
            let scaling = Scaling {
                offset: block.offset.unwrap_or(0.0),
                scale,
                minimum,
            };
            return nibbles(f, target, block, ptr, scaling);
        }
    };
    let weight = |q: Val| match minimum {
        Some(minimum) => f.fma(q, scale, minimum),
        None => f.mul(q, scale),
    };
    integers.into_iter().map(weight).collect()
}

/// The 32 weights of a block of nibbles.
fn nibbles(f: &mut Func, target: &TargetInfo, block: Block, ptr: Val, scaling: Scaling) -> Vec<Val> {
    let lanes = target.machine.lanes;
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for at in (0..16).step_by(lanes as usize) {
        let p = byte(f, ptr, block.start + i64::from(at));
        let bytes = f.load(p, Ty::V(lanes, Scalar::I8));
        let bytes = f.convert(Cast::ZeroExtend, bytes, Scalar::I32);
        let [l, h] = (target.micro_kernels.scaled_nibbles)(f, bytes, scaling);
        low.push(l);
        high.push(h);
    }
    low.extend(high);
    low
}

/// A vector of signed bytes as vectors of so many floats.
fn floats(f: &mut Func, bytes: Val, lanes: u32) -> Vec<Val> {
    let part = |at: u32| {
        let of_part: Vec<i64> = (at..at + lanes).map(i64::from).collect();
        let part = f.shuffle(bytes, bytes, &of_part);
        let part = f.convert(Cast::SignExtend, part, Scalar::I32);
        f.convert(Cast::SignedToFloat, part, Scalar::F32)
    };
    (0..bytes.ty.lanes()).step_by(lanes as usize).map(part).collect()
}

/// The 32 signed bytes at `ptr` as floats, in order.
pub(super) fn block_bytes(f: &mut Func, ptr: Val, lanes: u32) -> Vec<Val> {
    let integers = |at: i64| {
        let p = byte(f, ptr, at);
        let q = f.load(p, Ty::V(lanes, Scalar::I8));
        let q = f.convert(Cast::SignExtend, q, Scalar::I32);
        f.convert(Cast::SignedToFloat, q, Scalar::F32)
    };
    (0..32).step_by(lanes as usize).map(integers).collect()
}
