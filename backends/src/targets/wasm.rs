//! WebAssembly with vectors of 128 bits. Its record is that of no processor: engines translate to the one at hand, of which those of x86-64
//! have 16 vector registers.

use super::{
    PORTABLE,
    info::{FamilyInfo, Format, Instructions, TargetInfo},
};
use crate::mlir;
use seqc_passes::machine::Machine;

/// WebAssembly as all browsers have it. It has no instruction that multiplies and adds in one rounding.
pub(super) const SIMD128: TargetInfo = TargetInfo {
    machine: Machine {
        name: "wasm-simd128",
        ..Machine::PORTABLE
    },
    print: mlir::print_plain,
    instructions: Instructions {
        processor: "generic",
        features: "+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext",
    },
    ..PORTABLE
};

/// What all of WebAssembly has in common.
pub(super) const FAMILY: FamilyInfo = FamilyInfo {
    triple: "wasm32-unknown-wasi",
    format: Format::Wasm,
    processors: &[],
};
