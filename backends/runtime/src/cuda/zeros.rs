//! Zeroed memory that this process and its device see at the same addresses (unified memory): pages move to who touches them.

use std::ptr::NonNull;

use crate::device;

/// `bytes` zeros, if there is a device that has them.
pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
    device::allocate(bytes)
}

/// More memory, the new part zeros, elsewhere.
///
/// # Safety
///
/// So many bytes at `start` are of [`map`], and nobody borrows from them; if the call succeeds, they are gone.
pub(super) unsafe fn grow(start: *mut u8, before: usize, bytes: usize) -> Option<NonNull<u8>> {
    let grown = map(bytes)?;
    // SAFETY: both have so many bytes, and the new ones are nobody else's; the caller's promise.
    unsafe {
        std::ptr::copy_nonoverlapping(start, grown.as_ptr(), before);
        unmap(start, before);
    }
    Some(grown)
}

/// Memory of a device has no pages to choose.
///
/// # Safety
///
/// None.
pub(super) unsafe fn on_huge_pages(_start: *mut u8, _bytes: usize) {}

/// Gives memory back.
///
/// # Safety
///
/// It is of [`map`], and nobody uses it any more.
pub(super) unsafe fn unmap(start: *mut u8, _bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { device::free(start) };
}

/// Bytes of a page of the system.
pub(crate) fn system_page() -> usize {
    4096
}

/// Parts of memory are not given back.
///
/// # Safety
///
/// None.
pub(crate) unsafe fn release(_start: *mut u8, _bytes: usize) {}
