//! What is given to the caller, who frees it: memory of C's allocator.

use std::ffi::c_void;

use super::outcome::Outcome;
use crate::Error;

/// See `seqc.h`.
///
/// # Safety
///
/// `memory` is NULL or was given by this library and is freed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_free(memory: *mut c_void) {
    // SAFETY: the caller's promise: it comes from `copy`.
    unsafe { libc::free(memory) };
}

/// A copy of some values, followed by a zero of the same type.
pub(super) fn copy<T: Copy>(values: &[T]) -> Outcome<*mut T> {
    let bytes = size_of_val(values) + size_of::<T>();
    // SAFETY: a size that is not 0.
    let memory = unsafe { libc::calloc(1, bytes) }.cast::<T>();
    if memory.is_null() {
        return Err(Error::Failed(format!("no memory for {bytes} bytes")).into());
    }
    // SAFETY: the memory has room for one more, and is nobody else's.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), memory, values.len()) };
    Ok(memory)
}

/// Gives a copy of some values, and how many they are, to places of the caller; `count` may be NULL.
///
/// # Safety
///
/// Both are NULL or can be written.
pub(super) unsafe fn give<T: Copy>(values: &[T], to: *mut *mut T, count: *mut usize, what: &str) -> Outcome<()> {
    // SAFETY: the caller's promise.
    let to = unsafe { super::pointers::place(to, what) }?;
    *to = copy(values)?;
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = values.len();
    }
    Ok(())
}
