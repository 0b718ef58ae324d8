//! GPUs of NVIDIA: a member of the team is half a warp, 16 threads, each of which has a lane of every vector. No rate was measured on a GPU: what the
//! record says is derived from the vendor's published figures (CUDA C++ Programming Guide, Compute Capabilities 8.x: 65536 registers of 32 bits and
//! up to 64 warps on a multiprocessor, 255 registers for a thread, lines of 128 bytes).

use super::{
    PORTABLE,
    info::{FamilyInfo, Format, Instructions, TargetInfo},
};
use crate::mlir;
use seqc_passes::machine::{Attention, Machine, Memory};

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
        ..Machine::PORTABLE
    },
    print: mlir::print_ptx,
    host: Some(mlir::print_host),
    instructions: Instructions {
        processor: "sm_80",
        features: "+ptx80",
    },
    ..PORTABLE
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
