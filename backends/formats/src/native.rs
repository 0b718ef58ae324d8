//! The encodings that generated code reads as they are stored.

use crate::{block::Block, float8::Float8};

/// How an encoding that generated code reads as it is stored has its numbers. Kernels have a layout, and programs random weights,
/// for these only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Native {
    /// [`Encoding::F32`](crate::Encoding::F32)
    F32,
    /// [`Encoding::F16`](crate::Encoding::F16)
    F16,
    /// [`Encoding::Bf16`](crate::Encoding::Bf16)
    Bf16,
    /// Integers in blocks.
    Block(&'static Block),
    /// Floats of eight bits in blocks.
    Float8(Float8),
}
