//! Zeroed memory from the system, as private anonymous mappings.

use std::{ptr::NonNull, sync::OnceLock};

fn found(start: *mut libc::c_void) -> Option<NonNull<u8>> {
    NonNull::new(start.cast::<u8>()).filter(|_| start != libc::MAP_FAILED)
}

/// `bytes` zeros, if the system has them.
pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: a fresh private mapping touches nothing of ours.
    found(unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    })
}

/// More memory, the new part zeros, which may lie elsewhere.
///
/// # Safety
///
/// So many bytes at `start` are a mapping that nobody borrows from; if the call succeeds, it is gone.
pub(super) unsafe fn grow(start: *mut u8, before: usize, bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    found(unsafe { libc::mremap(start.cast(), before, bytes, libc::MREMAP_MAYMOVE) })
}

/// Asks for huge pages.
///
/// # Safety
///
/// So many bytes at `start` are a mapping.
pub(super) unsafe fn on_huge_pages(start: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise; the call is only a hint.
    unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
}

/// Gives a mapping back.
///
/// # Safety
///
/// So many bytes at `start` are a mapping, which nobody uses any more.
pub(super) unsafe fn unmap(start: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(start.cast(), bytes) };
}

/// Bytes of a page of the system, within which nothing can be released: 4096 on x86-64, up to 65536 on AArch64.
pub(crate) fn system_page() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        // SAFETY: a question without preconditions.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).unwrap_or(0).max(4096)
    })
}

/// Gives memory of a region back to the system, as far as it is made of whole pages of the system, which are zeros when they are touched
/// again.
///
/// # Safety
///
/// So many bytes belong to one region, and nobody reads or writes them any more.
pub(crate) unsafe fn release(start: *mut u8, bytes: usize) {
    let page = system_page();
    let skipped = (start as usize).next_multiple_of(page) - start as usize;
    let whole = bytes.saturating_sub(skipped) / page * page;
    if whole > 0 {
        // SAFETY: the caller's promise. Where the system refuses, memory is freed with its region.
        unsafe { libc::madvise(start.wrapping_add(skipped).cast(), whole, libc::MADV_DONTNEED) };
    }
}
