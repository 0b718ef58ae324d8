//! The levels of x86-64. Rates were measured with AVX2 on one thread (`time_of_both_forms` in the tests of the backend).

use seqc_abi::Level;
use seqc_passes::machine::{Machine, MatrixVector, Tiles};

/// AVX2 with fused multiply-add.
const V3: Machine = Machine {
    name: "x86-64-v3",
    lanes: 8,
    registers: 16,
    ..Machine::PORTABLE
};

/// AVX-512.
const V4: Machine = Machine {
    name: "x86-64-v4",
    lanes: 16,
    registers: 32,
    tiles: Tiles {
        vectors: 4,
        ..Machine::PORTABLE.tiles
    },
    matrix_vector: MatrixVector {
        block_rows: 8,
        ..Machine::PORTABLE.matrix_vector
    },
    ..Machine::PORTABLE
};

/// The record of a level.
pub fn machine(level: Level) -> &'static Machine {
    match level {
        Level::V3 => &V3,
        Level::V4 => &V4,
    }
}
