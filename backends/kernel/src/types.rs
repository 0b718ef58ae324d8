//! Types of values, and values.

use std::fmt;

/// Scalar types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scalar {
    I1,
    I8,
    I16,
    I32,
    I64,
    F16,
    Bf16,
    F32,
}

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// A scalar.
    S(Scalar),
    /// A vector of scalars.
    V(u32, Scalar),
    /// A pointer.
    Ptr,
    /// A vector of pointers (gathers).
    PtrV(u32),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scalar::I1 => "i1",
            Scalar::I8 => "i8",
            Scalar::I16 => "i16",
            Scalar::I32 => "i32",
            Scalar::I64 => "i64",
            Scalar::F16 => "f16",
            Scalar::Bf16 => "bf16",
            Scalar::F32 => "f32",
        })
    }
}

impl Scalar {
    /// Bytes in memory.
    pub fn bytes(self) -> i64 {
        match self {
            Scalar::I1 | Scalar::I8 => 1,
            Scalar::I16 | Scalar::F16 | Scalar::Bf16 => 2,
            Scalar::I32 | Scalar::F32 => 4,
            Scalar::I64 => 8,
        }
    }

    /// True for the floating point types.
    pub fn is_float(self) -> bool {
        matches!(self, Scalar::F16 | Scalar::Bf16 | Scalar::F32)
    }
}

impl Ty {
    /// 64-bit integer.
    pub const I64: Ty = Ty::S(Scalar::I64);
    /// 32-bit float.
    pub const F32: Ty = Ty::S(Scalar::F32);
    /// Truth value.
    pub const I1: Ty = Ty::S(Scalar::I1);

    /// The scalar type of a scalar or vector; `I64` for pointers.
    pub fn scalar(self) -> Scalar {
        match self {
            Ty::S(s) | Ty::V(_, s) => s,
            Ty::Ptr | Ty::PtrV(_) => Scalar::I64,
        }
    }

    /// The same shape (scalar or vector) of another scalar.
    pub fn with(self, scalar: Scalar) -> Ty {
        match self {
            Ty::V(n, _) | Ty::PtrV(n) => Ty::V(n, scalar),
            Ty::S(_) | Ty::Ptr => Ty::S(scalar),
        }
    }

    /// Lanes: 1 for scalars.
    pub fn lanes(self) -> u32 {
        match self {
            Ty::V(n, _) | Ty::PtrV(n) => n,
            Ty::S(_) | Ty::Ptr => 1,
        }
    }
}

/// A value of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Val {
    pub(crate) id: u32,
    /// Its type.
    pub ty: Ty,
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.id)
    }
}
