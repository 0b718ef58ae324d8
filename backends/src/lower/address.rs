//! Addresses of entries, and loads of words and pointers from tables.

use crate::kernel::{Func, Scalar, Space, Ty, Val};
use seqc_ir::Elem;

/// Pointer `n` of a table: to memory that all threads see.
pub(super) fn table_entry(f: &mut Func, table: Val, n: usize) -> Val {
    pointer_in(f, table, n, Space::Global)
}

/// Pointer `n` of a table, into a space.
pub(super) fn pointer_in(f: &mut Func, table: Val, n: usize, space: Space) -> Val {
    f.load_slot(table, n, Ty::Ptr(space))
}

/// Pointer `offset` bytes behind another.
pub(super) fn byte(f: &mut Func, p: Val, offset: usize) -> Val {
    let offset = f.i64(offset as i64);
    f.gep(p, offset, Scalar::I8)
}

/// How an element type lies in memory.
pub(super) fn scalar_of(elem: Elem) -> Scalar {
    match elem {
        Elem::I64 => Scalar::I64,
        Elem::F32 | Elem::Bool => Scalar::F32,
    }
}

/// Word `n` of a table.
pub(super) fn load_word(f: &mut Func, table: Val, n: usize) -> Val {
    f.load_slot(table, n, Ty::I64)
}
