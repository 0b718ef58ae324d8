//! Zeroed memory from the allocator: nothing is mapped here, and nothing is given back before its region ends.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ptr::NonNull,
};

/// At which regions begin.
const ALIGN: usize = 64;

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, ALIGN).ok()
}

/// `bytes` zeros, if there are as many.
pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: regions of no bytes ask for none.
    NonNull::new(unsafe { alloc_zeroed(layout(bytes)?) })
}

/// More memory, the new part zeros, which lies elsewhere.
///
/// # Safety
///
/// So many bytes at `start` are memory of [`map`] that nobody borrows from; if the call succeeds, it is gone.
pub(super) unsafe fn grow(start: *mut u8, before: usize, bytes: usize) -> Option<NonNull<u8>> {
    let grown = map(bytes)?;
    // SAFETY: the caller's promise; both have at least so many bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(start, grown.as_ptr(), before);
        unmap(start, before);
    }
    Some(grown)
}

/// There are none.
///
/// # Safety
///
/// None is needed.
pub(super) unsafe fn on_huge_pages(_start: *mut u8, _bytes: usize) {}

/// Gives memory back.
///
/// # Safety
///
/// So many bytes at `start` are memory of [`map`], which nobody uses any more.
pub(super) unsafe fn unmap(start: *mut u8, bytes: usize) {
    if let Some(layout) = layout(bytes) {
        // SAFETY: the caller's promise; it was made with this layout.
        unsafe { dealloc(start, layout) };
    }
}

/// Memory is freed with its region.
///
/// # Safety
///
/// None is needed.
pub(crate) unsafe fn release(_start: *mut u8, _bytes: usize) {}
