//! GPUs of NVIDIA: a member of the team is a warp of 32 threads, which multiply matrices together; vectors of 16 lanes are held by both halves of it. No rate was measured on a GPU: what the
//! record says is derived from the vendor's published figures (CUDA C++ Programming Guide, Compute Capabilities 8.x: 65536 registers of 32 bits and
//! up to 64 warps on a multiprocessor, 255 registers for a thread, lines of 128 bytes).

use super::{
    MatrixUnits, MicroKernels, PORTABLE,
    info::{FamilyInfo, Format, Instructions, TargetInfo},
};
use crate::{
    kernel::{Func, Intrinsic, Val},
    mlir,
};
use seqc_passes::machine::{Attention, Machine, Memory, Tiles};

/// Compute capability 8.0.
pub(super) const SM80: TargetInfo = TargetInfo {
    machine: Machine {
        name: "sm_80",
        lanes: 16,
        registers: 32,
        memory: Memory {
            line: 128,
            ..Machine::PORTABLE.memory
        },
        attention: Attention {
            shared_pages: 1,
            ..Machine::PORTABLE.attention
        },
        // Rows of weights that share what is made of activations for matrix units; of a thread's registers sums take 64.
        tiles: Tiles {
            vectors: 4,
            shared_rows: Some(32),
            block_rows: Some(128),
            ..Machine::PORTABLE.tiles
        },
        ..Machine::PORTABLE
    },
    micro_kernels: MicroKernels {
        matrix_units: Some(MatrixUnits { multiply, round_pairs }),
        ..PORTABLE.micro_kernels
    },
    print: mlir::print_ptx,
    host: Some(mlir::print_host),
    samples: true,
    instructions: Instructions {
        processor: "sm_80",
        features: "+ptx80",
    },
};

/// The same code for fibers of a processor of x86-64.
pub(super) const FIBERS: TargetInfo = TargetInfo {
    machine: Machine {
        name: "sm_80-emulated",
        ..SM80.machine
    },
    print: mlir::print_emulated,
    host: None,
    instructions: Instructions {
        processor: "x86-64-v3",
        features: "",
    },
    ..SM80
};

/// One instruction of a warp.
fn multiply(f: &mut Func, sums: Val, a: Val, b: Val) -> Val {
    f.intrinsic(Intrinsic::MatrixBf16, &[sums, a, b])
}

/// One instruction.
fn round_pairs(f: &mut Func, a: Val, b: Val) -> Val {
    f.round_pairs(a, b)
}

/// What all of them have in common.
pub(super) const FAMILY: FamilyInfo = FamilyInfo {
    triple: "nvptx64-nvidia-cuda",
    format: Format::Ptx,
    processors: &[],
};

/// The family of fibers.
pub(super) const EMULATED: FamilyInfo = FamilyInfo {
    triple: "x86_64-unknown-linux-musl",
    format: Format::Elf,
    processors: &[],
};
