//! Zeroed memory from the system: pages cost nothing until they are touched, and a region can grow.

use std::{ptr::NonNull, sync::OnceLock};

use crate::{Error, Result};

/// Regions at least this large ask for huge pages where they are told to.
const HUGE: usize = 4 << 20;

/// Memory that a sequence takes, alone or with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) address: usize,
    pub(crate) bytes: usize,
    /// Sequences that use it.
    pub(crate) holders: usize,
}

/// A private anonymous mapping, at least 64-byte aligned.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region owns its memory as a `Vec<u8>` does.
unsafe impl Send for Region {}
// SAFETY: shared references only read.
unsafe impl Sync for Region {}

impl Region {
    /// `bytes` zeros.
    pub(crate) fn new(bytes: usize) -> Result<Region> {
        if bytes == 0 {
            let start = NonNull::<Aligned>::dangling().cast();
            return Ok(Region { start, bytes });
        }
        // SAFETY: a fresh private mapping touches nothing of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        Region::of(start, bytes)
    }

    /// `bytes` zeros on huge pages, if the system likes.
    pub(crate) fn huge(bytes: usize) -> Result<Region> {
        let region = Region::new(bytes)?;
        region.on_huge_pages(HUGE);
        Ok(region)
    }

    /// Requests huge pages, if the region has at least `least` bytes.
    pub(crate) fn on_huge_pages(&self, least: usize) {
        if self.bytes >= least {
            // SAFETY: the range is ours; the call is only a hint.
            unsafe { libc::madvise(self.start.as_ptr().cast(), self.bytes, libc::MADV_HUGEPAGE) };
        }
    }

    fn of(start: *mut libc::c_void, bytes: usize) -> Result<Region> {
        let start = NonNull::new(start.cast::<u8>()).filter(|_| start != libc::MAP_FAILED);
        let start = start.ok_or_else(|| Error::Failed(format!("no memory for {bytes} bytes")))?;
        Ok(Region { start, bytes })
    }

    /// Grows to at least `bytes`; the new part is zeros, the old may lie elsewhere afterwards.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        if self.bytes == 0 {
            *self = Region::new(bytes)?;
            return Ok(());
        }
        // SAFETY: the old range is ours and nothing borrows from it: `self` is borrowed mutably.
        let start = unsafe { libc::mremap(self.start.as_ptr().cast(), self.bytes, bytes, libc::MREMAP_MAYMOVE) };
        let grown = Region::of(start, bytes)?;
        // The old range is gone: it must not be unmapped a second time.
        std::mem::forget(std::mem::replace(self, grown));
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the range is ours and readable.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the range is ours, writable, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
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

/// Gives an empty region an aligned address.
#[repr(align(64))]
struct Aligned;

impl Drop for Region {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: the range is ours and not used any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_what_was_there_and_adds_zeros() {
        let mut region = Region::new(0).expect("nothing");
        for size in [100, 5000, 1 << 20, 64 << 20] {
            region.grow(size).expect("memory");
            assert_eq!(region.len(), size);
            assert_eq!(region.as_ptr() as usize % 64, 0);
            assert_eq!(region.bytes()[size - 1], 0);
            region.bytes_mut()[0] += 1;
        }
        assert_eq!(region.bytes()[0], 4);
    }
}
