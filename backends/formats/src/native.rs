//! The encodings that generated code reads as they are stored.

/// An encoding that generated code reads as it is stored. Kernels have a layout, and programs random weights, for these only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
pub enum Native {
    /// [`Encoding::F32`](crate::Encoding::F32)
    F32,
    /// [`Encoding::F16`](crate::Encoding::F16)
    F16,
    /// [`Encoding::Bf16`](crate::Encoding::Bf16)
    Bf16,
    /// [`Encoding::Q4_0`](crate::Encoding::Q4_0)
    Q4_0,
    /// [`Encoding::Q4_1`](crate::Encoding::Q4_1)
    Q4_1,
    /// [`Encoding::Q8_0`](crate::Encoding::Q8_0)
    Q8_0,
}
