//! Hand-vectorised kernels: what generated layers call, and the elementary functions they inline.
//!
//! Every kernel is an internal function of the module that asked for it, added once by the function of
//! this module that returns its name. Pointers are bare; sizes and strides are 64-bit numbers.

mod attend;
mod bits;
mod block_rows;
mod copy;
mod dequant;
pub(crate) mod finite;
mod float8;
mod gemm;
mod gemv;
mod group_scales;
mod lanes;
mod layout;
mod long_conv;
pub mod math;
mod matrix_units;
mod micro;
pub(crate) mod opaque;
mod pack;
mod product_rows;
mod rounded;
mod sample;
mod short_blocks;
mod skinny;
mod strips;
mod tile;
mod unpack;

pub use attend::{Arguments, Attend, Governed, Needs, PageCopy, Part};
pub use copy::{COPY, copy, row, row_name};
pub use gemm::{RowLayout, gemm, gemm_name, gemm_scratch_bytes};
pub use gemv::{gemv, gemv_in_order, gemv_in_order_name, gemv_name};
pub use lanes::transpose;
pub use long_conv::LongConv;
pub use matrix_units::{BlockRows, MEMBER_TOKENS, Parts, Units, block_gemm, block_gemm_name, block_gemm_scratch_bytes};
pub use micro::micro_kernel;
pub use pack::pack;
pub use product_rows::GemmRows;
pub use rounded::{RowForm, round_row, round_row_name};
pub use sample::{SAMPLE, sample};
pub use skinny::{skinny_gemm, skinny_gemm_name};
pub use tile::Tile;
