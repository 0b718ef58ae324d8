//! Hand-vectorised kernels: what generated layers call, and the elementary functions they inline.
//!
//! Every kernel is an internal function of the module that asked for it, added once by the function of
//! this module that returns its name. Pointers are bare; sizes and strides are 64-bit numbers.

mod gemv;
mod lanes;
pub mod math;
mod micro;
mod pack;
mod rows;

pub use gemv::gemv;
pub use micro::{max_rows, micro_kernel};
pub use pack::pack;
