//! Encodings: how the numbers of a tensor are stored, one file an encoding.
//!
//! [`Encoding`] is the one type for it, from the reader of checkpoints to the kernels. `Facts` is what a
//! file says of its encoding, [`Use`] what can be done with it. Blocks of numbers with common scales are GGML's, and lie
//! along the last axis of a tensor.

mod bfloat16;
mod binary16;
mod binary32;
mod binary64;
mod block;
mod encode;
mod encoding;
mod f8_e4m3;
mod f8_e5m2;
mod facts;
mod float8;
mod half;
mod integers;
mod iq4_nl;
mod iq4_xs;
mod listed;
mod mxfp4;
mod native;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod unpack;

pub use bfloat16::{nearest_bf16, to_bf16};
pub use block::{Bits, Block, Factors, Groups, Unit};
pub use encoding::Encoding;
pub use facts::Use;
pub use float8::Float8;
pub use half::{nearest_f16, to_f16};
pub use listed::Listed;
pub use native::Native;
