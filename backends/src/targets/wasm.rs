//! WebAssembly with vectors of 128 bits. Its record is that of no processor: engines translate to the one at hand, of which those of x86-64
//! have 16 vector registers.

use super::{
    MicroKernels, PORTABLE,
    info::{FamilyInfo, Format, Instructions, TargetInfo},
};
use crate::{
    kernel::{Func, Intrinsic, Scalar, Val},
    mlir,
};
use seqc_passes::machine::Machine;

/// WebAssembly as all browsers have it. It has no instruction that multiplies and adds in one rounding.
pub(super) const SIMD128: TargetInfo = TargetInfo {
    machine: Machine {
        name: "wasm-simd128",
        ..Machine::PORTABLE
    },
    micro_kernels: MicroKernels {
        levels,
        dot_words: Some(dot_words),
        fixed_point: |_| true,
        ..PORTABLE.micro_kernels
    },
    print: mlir::print_plain,
    host: None,
    samples: false,
    instructions: Instructions {
        processor: "generic",
        features: "+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext",
    },
};

/// One instruction for a vector of places.
fn levels(f: &mut Func, places: Val, levels: &[i8; 16]) -> Val {
    let table = f.lanes(Scalar::I8, &levels.map(i64::from));
    let [low, high] = [0, 16].map(|first| {
        let lanes: Vec<i64> = (first..first + 16).collect();
        let places = f.shuffle(places, places, &lanes);
        f.intrinsic(Intrinsic::SwizzleBytes, &[table, places])
    });
    f.shuffle(low, high, &(0..32).collect::<Vec<i64>>())
}

/// One instruction, and an addition.
fn dot_words(f: &mut Func, sums: Val, a: Val, b: Val) -> Val {
    f.intrinsic(Intrinsic::DotWords, &[sums, a, b])
}

/// What all of WebAssembly has in common.
pub(super) const FAMILY: FamilyInfo = FamilyInfo {
    triple: "wasm32-unknown-wasi",
    format: Format::Wasm,
    processors: &[],
};
