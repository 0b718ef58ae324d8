//! The targets that code is generated for: for each a machine record, a table of micro-kernels and a printer.

mod aarch64;
mod cuda;
mod info;
mod micro_kernels;
mod portable;
mod wasm;
mod x86_64;

pub use info::{FamilyInfo, Format, Instructions, Processors, TargetInfo};
pub use micro_kernels::{
    AddByteProducts, ByteProducts, DotPairs, DotWords, Levels, MatrixUnits, MicroKernels, PairProducts, Scaling,
};
pub use portable::PORTABLE;

use seqc_abi::{Family, Level};
use seqc_passes::machine::Machine;

impl TargetInfo {
    /// All targets.
    pub const ALL: [TargetInfo; 10] = [
        PORTABLE,
        x86_64::V3,
        x86_64::V4,
        x86_64::V4_VNNI,
        x86_64::V4_BF16,
        aarch64::NEON,
        aarch64::DOT,
        wasm::SIMD128,
        cuda::SM80,
        cuda::FIBERS,
    ];

    /// The target of a plan's machine: micro-kernels and printer are those of the target of that name, portable ones where there
    /// is none.
    pub fn of(machine: &Machine) -> TargetInfo {
        let known = TargetInfo::ALL.into_iter().find(|t| t.machine.name == machine.name);
        TargetInfo {
            machine: *machine,
            ..known.unwrap_or(PORTABLE)
        }
    }
}

/// The target of a level.
pub fn target(level: Level) -> &'static TargetInfo {
    match level {
        Level::V3 => &x86_64::V3,
        Level::V4 => &x86_64::V4,
        Level::V4Vnni => &x86_64::V4_VNNI,
        Level::V4Bf16 => &x86_64::V4_BF16,
        Level::Neon => &aarch64::NEON,
        Level::Dot => &aarch64::DOT,
        Level::Simd128 => &wasm::SIMD128,
        Level::Sm80 => &cuda::SM80,
        Level::Fibers => &cuda::FIBERS,
    }
}

/// What the targets of a family have in common.
pub fn family(family: Family) -> &'static FamilyInfo {
    match family {
        Family::X86_64 => &x86_64::FAMILY,
        Family::Aarch64 => &aarch64::FAMILY,
        Family::Wasm => &wasm::FAMILY,
        Family::Cuda => &cuda::FAMILY,
        Family::CudaEmulated => &cuda::EMULATED,
    }
}

/// The machine record of a level.
pub fn machine(level: Level) -> &'static Machine {
    &target(level).machine
}
