//! The levels of x86-64. Rates were measured with AVX2 on one thread (`time_of_both_forms` in the tests of the backend).

mod avx2;
mod avx512;

use super::{
    ByteProducts, MicroKernels, PORTABLE, PairProducts,
    info::{FamilyInfo, Format, Instructions, Processors, TargetInfo},
};
use seqc_abi::Level;
use seqc_passes::machine::{Machine, MatrixVector, Tiles};

/// AVX2 with fused multiply-add.
pub(super) const V3: TargetInfo = TargetInfo {
    machine: Machine {
        name: "x86-64-v3",
        lanes: 8,
        registers: 16,
        ..Machine::PORTABLE
    },
    micro_kernels: MicroKernels {
        nibbles: avx2::nibbles,
        levels: avx2::levels,
        byte_products: Some(ByteProducts {
            dot: avx2::dot_bytes,
            bias: 0,
            pairs: Some(PairProducts {
                dot: avx2::dot_pairs,
                widen: avx2::widen,
            }),
        }),
        ..PORTABLE.micro_kernels
    },
    instructions: Instructions {
        processor: "x86-64-v3",
        features: "",
    },
    ..PORTABLE
};

/// AVX-512.
pub(super) const V4: TargetInfo = TargetInfo {
    machine: Machine {
        name: "x86-64-v4",
        lanes: 16,
        registers: 32,
        tiles: Tiles {
            vectors: 4,
            skinny_rows: 32,
            ..Machine::PORTABLE.tiles
        },
        matrix_vector: MatrixVector {
            block_rows: 8,
            ..Machine::PORTABLE.matrix_vector
        },
        ..Machine::PORTABLE
    },
    micro_kernels: MicroKernels {
        low_nibbles: avx512::low_nibbles,
        scaled_nibbles: avx512::scaled_nibbles,
        nibbles: avx2::nibbles,
        levels: avx2::levels,
        exp2: avx512::exp2,
        ..PORTABLE.micro_kernels
    },
    instructions: Instructions {
        processor: "x86-64-v4",
        features: "",
    },
    ..PORTABLE
};

/// AVX-512 with VNNI.
pub(super) const V4_VNNI: TargetInfo = TargetInfo {
    machine: Machine {
        name: "x86-64-v4+vnni",
        ..V4.machine
    },
    micro_kernels: MicroKernels {
        byte_products: Some(ByteProducts {
            dot: avx512::dot_bytes,
            bias: 128,
            pairs: None,
        }),
        fixed_point: avx512::fixed_point,
        ..V4.micro_kernels
    },
    instructions: Instructions {
        processor: "x86-64-v4",
        features: "+avx512vnni",
    },
    ..V4
};

/// The same with BF16.
pub(super) const V4_BF16: TargetInfo = TargetInfo {
    machine: Machine {
        name: "x86-64-v4+vnni+bf16",
        ..V4.machine
    },
    micro_kernels: MicroKernels {
        dot_pairs: Some(avx512::dot_pairs),
        ..V4_VNNI.micro_kernels
    },
    instructions: Instructions {
        processor: "x86-64-v4",
        features: "+avx512vnni,+avx512bf16",
    },
    ..V4
};

/// What all have in common.
pub(super) const FAMILY: FamilyInfo = FamilyInfo {
    triple: "x86_64-unknown-linux-musl",
    format: Format::Elf,
    processors: &[
        Processors {
            level: Level::V3,
            names: &[
                "haswell",
                "broadwell",
                "skylake",
                "alderlake",
                "raptorlake",
                "meteorlake",
                "arrowlake",
                "lunarlake",
                "sierraforest",
                "gracemont",
                "znver1",
                "znver2",
                "znver3",
            ],
        },
        Processors {
            level: Level::V4,
            names: &["skylake-avx512", "cannonlake"],
        },
        Processors {
            level: Level::V4Vnni,
            names: &[
                "cascadelake",
                "icelake-client",
                "icelake-server",
                "tigerlake",
                "rocketlake",
            ],
        },
        Processors {
            level: Level::V4Bf16,
            names: &[
                "cooperlake",
                "sapphirerapids",
                "emeraldrapids",
                "graniterapids",
                "znver4",
                "znver5",
            ],
        },
    ],
};
