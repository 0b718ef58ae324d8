//! Files as bytes: mapped, so that only what is used is read.

use std::{
    fs::File,
    io,
    ops::{Deref, Range},
    os::unix::fs::FileExt,
};

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

/// The bytes of a file, or of a part of it.
#[derive(Debug)]
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// A whole file. It must not be truncated while it is mapped, as documented.
    pub(crate) fn of(file: &File) -> io::Result<Mapping> {
        // SAFETY: the map is read only; that the file stays as it is, is the user's promise.
        unsafe { Mmap::map(file) }.map(Mapping)
    }

    /// A part of a file, which begins at a page.
    pub(crate) fn of_part(file: &File, part: Range<u64>) -> io::Result<Mapping> {
        let bytes = usize::try_from(part.end - part.start).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: as above.
        unsafe { MmapOptions::new().offset(part.start).len(bytes).map(file) }.map(Mapping)
    }

    /// Hints the system to read ahead.
    pub(crate) fn prefetch(&self) {
        // Pages come on first use when the hint is refused.
        let _ = self.0.advise(Advice::WillNeed);
    }

    /// Lets the memory of these bytes go, if they are a part of it; they are read from the file again when they are used again.
    pub(crate) fn release(&self, bytes: &[u8]) {
        let (all, part) = (self.0.as_ptr_range(), bytes.as_ptr_range());
        if all.start <= part.start && part.end <= all.end {
            let from = part.start as usize - all.start as usize;
            // SAFETY: the map is of a file and read only: pages that are dropped come back with the same bytes.
            let _ = unsafe {
                self.0
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, from, bytes.len())
            };
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Fills `to` with the bytes of a file from `start` on.
pub(crate) fn read_at(file: &File, to: &mut [u8], start: u64) -> io::Result<()> {
    file.read_exact_at(to, start)
}
