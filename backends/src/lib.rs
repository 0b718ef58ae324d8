//! From graphs to native programs: kernels in MLIR text, objects, executables.

pub mod code;
pub mod kernels;
pub mod link;
pub mod lower;
pub mod mlir;
pub mod scratch;
pub mod text;
