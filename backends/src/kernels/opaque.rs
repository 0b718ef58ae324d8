//! Numbers that LLVM must not see through.

use crate::kernel::{Func, Scalar, Ty, Val};

/// A 32-bit number that is opaque to LLVM.
pub(crate) fn opaque(f: &mut Func, value: i64) -> Val {
    let (one, ty) = (f.i64(1), Ty::S(Scalar::I32));
    let slot = f.stack_of(one, Scalar::I32);
    let value = f.int(ty, value);
    f.store(value, slot);
    f.load_volatile(slot, Scalar::I32)
}
