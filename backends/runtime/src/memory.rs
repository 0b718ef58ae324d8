//! Zeroed memory from the system: pages cost nothing until they are touched, and a region can grow.

#[cfg_attr(target_os = "wasi", path = "wasi/zeros.rs")]
#[cfg_attr(feature = "cuda", path = "cuda/zeros.rs")]
mod zeros;

pub(crate) use zeros::release;
#[cfg(unix)]
pub(crate) use zeros::system_page;

use std::ptr::NonNull;

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

/// Memory of its own, at least 64-byte aligned.
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
        Region::of(zeros::map(bytes), bytes)
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
            // SAFETY: the range is ours.
            unsafe { zeros::on_huge_pages(self.start.as_ptr(), self.bytes) };
        }
    }

    fn of(start: Option<NonNull<u8>>, bytes: usize) -> Result<Region> {
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
        let start = unsafe { zeros::grow(self.start.as_ptr(), self.bytes, bytes) };
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

/// Gives an empty region an aligned address.
#[repr(align(64))]
struct Aligned;

impl Drop for Region {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: the range is ours and not used any more.
            unsafe { zeros::unmap(self.start.as_ptr(), self.bytes) };
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
