//! The levels of AArch64. No rate was measured on such a processor: what the record says is derived from the vendor's published figures of two
//! server cores. The Software Optimization Guides of Neoverse N1 and V1 give 32 vector registers of 128 bits, multiplications with additions of
//! four cycles, of which two (N1) or four (V1) begin in each cycle, two or three loads in each cycle, cache lines of 64 bytes, 64 KiB of
//! first-level and 1 MiB of second-level cache.

use super::{
    ByteProducts, MicroKernels, PORTABLE,
    info::{FamilyInfo, Format, Instructions, Processors, TargetInfo},
};
use crate::kernel::{Func, Intrinsic, Scalar, Val};
use seqc_abi::Level;
use seqc_passes::machine::{Machine, MatrixVector, Tiles};
use std::ops::Range;

/// Advanced SIMD of Armv8-A.
pub(super) const NEON: TargetInfo = TargetInfo {
    machine: Machine {
        name: "armv8-a",
        lanes: 4,
        registers: 32,
        // Six rows of four vectors are 24 sums: four multipliers of four cycles take 16 to be busy.
        tiles: Tiles {
            vectors: 4,
            ..Machine::PORTABLE.tiles
        },
        matrix_vector: MatrixVector {
            block_rows: 8,
            ..Machine::PORTABLE.matrix_vector
        },
        ..Machine::PORTABLE
    },
    micro_kernels: MicroKernels {
        levels,
        ..PORTABLE.micro_kernels
    },
    instructions: Instructions {
        processor: "generic",
        features: "+neon",
    },
    ..PORTABLE
};

/// Also dot products of bytes.
pub(super) const DOT: TargetInfo = TargetInfo {
    machine: Machine {
        name: "armv8.2-a+dotprod",
        ..NEON.machine
    },
    micro_kernels: MicroKernels {
        byte_products: Some(ByteProducts {
            dot: dot_bytes,
            bias: 0,
            pairs: None,
        }),
        fixed_point: |_| true,
        ..NEON.micro_kernels
    },
    instructions: Instructions {
        processor: "generic",
        features: "+v8.2a,+dotprod",
    },
    ..NEON
};

/// One instruction for a register of places.
fn levels(f: &mut Func, places: Val, levels: &[i8; 16]) -> Val {
    let table = f.lanes(Scalar::I8, &levels.map(i64::from));
    let half = |f: &mut Func, lanes: Range<i64>| {
        let places = f.shuffle(places, places, &lanes.collect::<Vec<i64>>());
        f.intrinsic(Intrinsic::PermuteBytes, &[table, places])
    };
    let (low, high) = (half(f, 0..16), half(f, 16..32));
    f.shuffle(low, high, &(0..32).collect::<Vec<i64>>())
}

/// One instruction.
fn dot_bytes(f: &mut Func, sums: Val, a: Val, b: Val) -> Val {
    f.intrinsic(Intrinsic::DotBytes, &[sums, a, b])
}

/// What all of AArch64 has in common.
pub(super) const FAMILY: FamilyInfo = FamilyInfo {
    triple: "aarch64-unknown-linux-musl",
    format: Format::Elf,
    processors: &[
        Processors {
            level: Level::Neon,
            names: &["cortex-a53", "cortex-a57", "cortex-a72", "cortex-a73"],
        },
        Processors {
            level: Level::Dot,
            names: &[
                "cortex-a55",
                "cortex-a76",
                "cortex-a78",
                "cortex-x1",
                "neoverse-n1",
                "neoverse-n2",
                "neoverse-v1",
                "neoverse-v2",
                "ampere1",
            ],
        },
    ],
};
