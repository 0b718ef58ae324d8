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

/// Memory that a pointer points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Memory that the whole team sees: weights, states, activations, tables of pointers to them.
    Global,
    /// Intermediate results of one member of the team, of no meaning when the call is over. Other members read them, if at all,
    /// behind a barrier.
    Scratch,
    /// Memory of a block of members, which only these reach; of no meaning before one of them writes it.
    Shared,
    /// The stack of one member: of the function that runs, and of those that called it.
    Private,
    /// Constant bytes of the module.
    Constant,
    /// Any of these: of functions that are called with pointers to several.
    Generic,
}

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// A scalar.
    S(Scalar),
    /// A vector of scalars.
    V(u32, Scalar),
    /// A pointer into a space.
    Ptr(Space),
    /// A vector of pointers into one space (gathers).
    PtrV(u32, Space),
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

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Space::Global => "global",
            Space::Scratch => "scratch",
            Space::Shared => "shared",
            Space::Private => "private",
            Space::Constant => "constant",
            Space::Generic => "generic",
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

    /// Pointer to what the whole team sees.
    pub const GLOBAL: Ty = Ty::Ptr(Space::Global);
    /// Pointer to intermediate results of a member of the team.
    pub const SCRATCH: Ty = Ty::Ptr(Space::Scratch);
    /// Pointer to memory of a block of members.
    pub const SHARED: Ty = Ty::Ptr(Space::Shared);
    /// Pointer to the stack.
    pub const PRIVATE: Ty = Ty::Ptr(Space::Private);
    /// Pointer to constant bytes of the module.
    pub const CONSTANT: Ty = Ty::Ptr(Space::Constant);
    /// Pointer into any space.
    pub const GENERIC: Ty = Ty::Ptr(Space::Generic);

    /// The space that a pointer, or each of a vector of pointers, points into.
    pub fn space(self) -> Option<Space> {
        match self {
            Ty::Ptr(space) | Ty::PtrV(_, space) => Some(space),
            Ty::S(_) | Ty::V(..) => None,
        }
    }

    /// Whether a value of this type is accepted where `wanted` is expected: it is of that type, or a pointer and one into any space
    /// is asked for.
    pub fn passes_for(self, wanted: Ty) -> bool {
        self == wanted || (wanted == Ty::GENERIC && matches!(self, Ty::Ptr(_)))
    }

    /// The type that values of both types pass for: of pointers into different spaces one into any; else this one.
    pub(crate) fn joined(self, other: Ty) -> Ty {
        match (self, other) {
            (Ty::Ptr(a), Ty::Ptr(b)) if a != b => Ty::GENERIC,
            _ => self,
        }
    }

    /// The scalar type of a scalar or vector; `I64` for pointers.
    pub fn scalar(self) -> Scalar {
        match self {
            Ty::S(s) | Ty::V(_, s) => s,
            Ty::Ptr(_) | Ty::PtrV(..) => Scalar::I64,
        }
    }

    /// The same shape (scalar or vector) of another scalar.
    pub fn with(self, scalar: Scalar) -> Ty {
        match self {
            Ty::V(n, _) | Ty::PtrV(n, _) => Ty::V(n, scalar),
            Ty::S(_) | Ty::Ptr(_) => Ty::S(scalar),
        }
    }

    /// Lanes: 1 for scalars.
    pub fn lanes(self) -> u32 {
        match self {
            Ty::V(n, _) | Ty::PtrV(n, _) => n,
            Ty::S(_) | Ty::Ptr(_) => 1,
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

/// Name and types of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its symbol.
    pub name: String,
    /// Types of its parameters.
    pub params: Vec<Ty>,
    /// Type of its result.
    pub result: Option<Ty>,
}
