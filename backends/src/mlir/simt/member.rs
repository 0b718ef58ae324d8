//! A member of the team: its threads, its stack, and what a thread holds of a value.

use crate::kernel::{Scalar, Ty};
use seqc_abi::device;

/// Threads of a member: a warp.
pub(super) const THREADS: u32 = device::MEMBER_THREADS as u32;

/// Parts in which threads hold a value.
pub(super) fn parts(ty: Ty) -> usize {
    ty.lanes().div_ceil(THREADS) as usize
}

/// The lane of vectors of so many lanes that thread `t` holds in part `n`.
pub(super) fn held(lanes: u32, n: usize, t: u32) -> u32 {
    if lanes < THREADS {
        t % lanes
    } else {
        (n as u32 * THREADS + t).min(lanes - 1)
    }
}

/// The type of what one thread holds of a value.
pub(super) fn of_thread(ty: Ty) -> &'static str {
    match ty {
        Ty::Ptr(_) | Ty::PtrV(..) => "!llvm.ptr",
        Ty::S(s) | Ty::V(_, s) => scalar(s),
    }
}

/// A scalar type.
pub(super) fn scalar(s: Scalar) -> &'static str {
    match s {
        Scalar::I1 => "i1",
        Scalar::I8 => "i8",
        Scalar::I16 => "i16",
        Scalar::I32 => "i32",
        Scalar::I64 => "i64",
        Scalar::F16 => "f16",
        Scalar::Bf16 => "bf16",
        Scalar::F32 => "f32",
    }
}
