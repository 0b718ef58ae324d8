//! Compiles kernels and runs them. One binary for all tests, since each that links MLIR is some 200 MB.

mod attend;
mod batches;
mod block_products;
mod chunked;
mod clocked;
mod delta_rules;
mod driver;
mod emulated;
mod generated;
mod kernel;
mod linking;
mod long_conv;
mod math;
mod matmul;
mod matrix_units;
mod matvec;
mod memories;
mod parts;
mod plain;
mod policies;
mod ptxas;
mod rounded;
mod sampling;
mod sequences;
mod support;
