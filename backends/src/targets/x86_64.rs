//! The levels of x86-64. Rates were measured with AVX2 on one thread (`time_of_both_forms` in the tests of the backend).

use seqc_abi::Level;
use seqc_passes::machine::Machine;

/// AVX2 with fused multiply-add.
const V3: Machine = Machine {
    name: "x86-64-v3",
    lanes: 8,
    registers: 16,
    tile_vectors: 2,
    block_rows: 4,
    ..Machine::PORTABLE
};

/// AVX-512.
const V4: Machine = Machine {
    name: "x86-64-v4",
    lanes: 16,
    registers: 32,
    tile_vectors: 4,
    block_rows: 8,
    ..Machine::PORTABLE
};

/// The record of a level.
pub fn machine(level: Level) -> &'static Machine {
    match level {
        Level::V3 => &V3,
        Level::V4 => &V4,
    }
}
