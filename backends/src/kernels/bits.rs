//! Integers of weights, put together from the bits of a block.

use super::{dequant::byte, layout::STRIP};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Val},
    targets::MicroKernels,
};
use seqc_formats::{Bits, Block};

/// Where a strip of 32 weights is, and what is made of it.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) block: &'static Block,
    /// Its first weight, counted from the block's.
    pub(super) first: usize,
    /// What is added to the integers beside their offset.
    pub(super) bias: i64,
    /// The bit of a byte where they are to lie; of integers that nothing is added to it may be another than the lowest.
    pub(super) place: usize,
}

impl Strip {
    /// All of a block of 32 weights, as they are.
    pub(super) fn whole(block: &'static Block) -> Strip {
        Strip {
            block,
            first: 0,
            bias: 0,
            place: 0,
        }
    }
}

/// The integers of a strip of the block at `ptr`, their offset and a bias added, or the levels that they stand for with that: a byte each.
pub(super) fn strip(f: &mut Func, micro_kernels: &MicroKernels, strip: Strip, ptr: Val) -> Val {
    let Strip { block, first, bias, .. } = strip;
    let q = low(f, micro_kernels, strip, ptr);
    if let Some(levels) = block.levels {
        return (micro_kernels.levels)(f, q, &levels.map(|level| level.wrapping_add(bias as i8)));
    }
    let offset = i64::from(block.offset) + bias;
    let (q, added) = match block.high {
        None => (q, lanes_of(f, q, offset)),
        Some(bits) if bits.run == 1 => {
            let is_set = single_bits(f, ptr, bits, first);
            let [set, clear] = [offset + (1 << block.low.bits), offset].map(|n| lanes_of(f, q, n));
            (q, f.select(is_set, set, clear))
        }
        Some(bits) => {
            let high = field(f, ptr, bits, first, block.low.bits);
            (f.or(q, high), lanes_of(f, q, offset))
        }
    };
    f.add(q, added)
}

/// The lowest eight bits of a number, in bytes as many as those of a vector.
fn lanes_of(f: &mut Func, bytes: Val, number: i64) -> Val {
    f.int(bytes.ty, i64::from(number as i8))
}

/// The low bits of the integers of a strip.
fn low(f: &mut Func, micro_kernels: &MicroKernels, strip: Strip, ptr: Val) -> Val {
    let (bits, half) = (strip.block.low, STRIP / 2);
    if (bits.bits, bits.run) != (4, half as usize) {
        return field(f, ptr, bits, strip.first, strip.place);
    }
    let (at, _) = bits.place(strip.first);
    let p = byte(f, ptr, at as i64);
    let bytes = f.load(p, Ty::V(half, Scalar::I8));
    (micro_kernels.nibbles)(f, bytes)
}

/// Some bits of each integer of a strip, at bit `to` of a byte each.
fn field(f: &mut Func, ptr: Val, bits: Bits, first: usize, to: usize) -> Val {
    let strip = STRIP as usize;
    let run = bits.run.min(strip);
    let mut runs = Vec::new();
    for i in (first..first + strip).step_by(run) {
        let (at, from) = bits.place(i);
        let p = byte(f, ptr, at as i64);
        let bytes = f.load(p, Ty::V(run as u32, Scalar::I8));
        runs.push(moved(f, bytes, from as i64 - to as i64));
    }
    let all: Vec<i64> = (0..STRIP.into()).collect();
    let joined = if let [low, high] = runs[..] {
        f.shuffle(low, high, &all)
    } else {
        runs[0]
    };
    let mask = lanes_of(f, joined, ((1 << bits.bits) - 1) << to);
    f.and(joined, mask)
}

/// Bytes shifted right, or left where `places` is negative.
fn moved(f: &mut Func, bytes: Val, places: i64) -> Val {
    let by = f.int(bytes.ty, places.abs());
    match places {
        0 => bytes,
        1.. => f.shr(bytes, by),
        _ => f.shl(bytes, by),
    }
}

/// Whether each bit of a strip is set, of bits that lie one after another, eight in a byte.
fn single_bits(f: &mut Func, ptr: Val, bits: Bits, first: usize) -> Val {
    let (at, _) = bits.place(first);
    let p = byte(f, ptr, at as i64);
    let bytes = f.load(p, Ty::V(STRIP / 8, Scalar::I8));
    let of_lane: Vec<i64> = (0..i64::from(STRIP)).map(|i| i / 8).collect();
    let bytes = f.shuffle(bytes, bytes, &of_lane);
    let places: Vec<i64> = (0..STRIP).map(|i| 1 << (i % 8)).collect();
    let (places, none) = (f.lanes(Scalar::I8, &places), f.zero(bytes.ty));
    let bits = f.and(bytes, places);
    f.cmp(Cmp::Ne, bits, none)
}

/// The factors of the scales and of the minima of groups ([`seqc_formats::Factors::Nibbles`]), as integers.
pub(super) fn nibbles(f: &mut Func, ptr: Val, groups: u32) -> [Val; 2] {
    let bytes = wide(f, ptr, groups);
    let (fifteen, four) = (f.int(bytes.ty, 15), f.int(bytes.ty, 4));
    [f.and(bytes, fifteen), f.shr(bytes, four)]
}

/// The factors of the scales of sixteen groups ([`seqc_formats::Factors::SixBitScales`]), as integers.
pub(super) fn six_bit_scales(f: &mut Func, ptr: Val) -> Val {
    let last = byte(f, ptr, 8);
    let (low, high) = (wide(f, ptr, 8), wide(f, last, 4));
    let group = |per: i64, bits: i64| (0..16).map(|g| g / per * bits).collect::<Vec<i64>>();
    let taken = |f: &mut Func, bytes: Val, per: i64, bits: i64| {
        let lanes: Vec<i64> = (0..16).map(|g| g % per).collect();
        let bytes = f.shuffle(bytes, bytes, &lanes);
        let places = f.lanes(Scalar::I32, &group(per, bits));
        let bytes = f.shr(bytes, places);
        let mask = f.int(bytes.ty, (1 << bits) - 1);
        f.and(bytes, mask)
    };
    let (low, high) = (taken(f, low, 8, 4), taken(f, high, 4, 2));
    let (four, above) = (f.int(low.ty, 4), f.int(low.ty, 32));
    let high = f.shl(high, four);
    let factor = f.or(low, high);
    f.sub(factor, above)
}

/// The factors of the scales of eight groups ([`seqc_formats::Factors::SixBitsApart`]), as integers.
pub(super) fn six_bits_apart(f: &mut Func, ptr: Val) -> Val {
    let first = byte(f, ptr, 2);
    let (low, high) = (wide(f, first, 4), wide(f, ptr, 2));
    let taken = |f: &mut Func, bytes: Val, per: i64, bits: i64| {
        let lanes: Vec<i64> = (0..8).map(|g| g / per).collect();
        let bytes = f.shuffle(bytes, bytes, &lanes);
        let places: Vec<i64> = (0..8).map(|g| g % per * bits).collect();
        let places = f.lanes(Scalar::I32, &places);
        let bytes = f.shr(bytes, places);
        let mask = f.int(bytes.ty, (1 << bits) - 1);
        f.and(bytes, mask)
    };
    let (low, high) = (taken(f, low, 2, 4), taken(f, high, 4, 2));
    let (four, above) = (f.int(low.ty, 4), f.int(low.ty, 32));
    let high = f.shl(high, four);
    let factor = f.or(low, high);
    f.sub(factor, above)
}

/// So many bytes as integers without a sign.
fn wide(f: &mut Func, ptr: Val, count: u32) -> Val {
    let bytes = f.load(ptr, Ty::V(count, Scalar::I8));
    f.convert(Cast::ZeroExtend, bytes, Scalar::I32)
}

/// The factors of the scales and of the minima of eight groups ([`seqc_formats::Factors::SixBits`]), as integers.
pub(super) fn six_bits(f: &mut Func, ptr: Val) -> [Val; 2] {
    let last = byte(f, ptr, 8);
    let (first, last) = (wide(f, ptr, 8), wide(f, last, 4));
    let last = f.shuffle(last, last, &[0, 1, 2, 3, 0, 1, 2, 3]);
    let [sixty_three, fifteen, six, four] = [63, 15, 6, 4].map(|n| f.int(first.ty, n));
    // Scales, then minima: of groups 0 to 3, and of groups 4 to 7.
    let low = f.and(first, sixty_three);
    let high = f.shr(first, six);
    let high = f.shl(high, four);
    let halves = f.lanes(Scalar::I32, &[0, 0, 0, 0, 4, 4, 4, 4]);
    let last = f.shr(last, halves);
    let last = f.and(last, fifteen);
    let high = f.or(high, last);
    [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]].map(|lanes| f.shuffle(low, high, &lanes))
}
