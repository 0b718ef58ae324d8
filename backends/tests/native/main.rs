//! Compiles kernels and runs them. One binary for all tests, since each that links MLIR is some 200 MB.

mod driver;
mod linking;
mod math;
mod matmul;
mod matvec;
mod support;
