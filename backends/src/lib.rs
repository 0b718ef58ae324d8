//! From graphs to native programs: kernels, MLIR text, objects, executables.

pub mod code;
pub mod kernels;
pub mod link;
pub mod lower;
pub mod mlir;
mod parameters;
mod schedule;
pub mod scratch;
pub mod targets;

pub use seqc_kernel as kernel;
