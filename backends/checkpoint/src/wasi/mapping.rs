//! Files as bytes, on a system that maps none: read into memory.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::{Deref, Range},
};

/// The bytes of a file, or of a part of it.
#[derive(Debug)]
pub(crate) struct Mapping(Vec<u8>);

impl Mapping {
    /// A whole file.
    pub(crate) fn of(file: &File) -> io::Result<Mapping> {
        Mapping::of_part(file, 0..file.metadata()?.len())
    }

    /// A part of a file.
    pub(crate) fn of_part(file: &File, part: Range<u64>) -> io::Result<Mapping> {
        let too_large = |bytes: u64| {
            let message = format!("{bytes} bytes are more than the memory of WebAssembly holds");
            io::Error::new(io::ErrorKind::OutOfMemory, message)
        };
        let length = part.end - part.start;
        let bytes = usize::try_from(length).map_err(|_| too_large(length))?;
        let mut read = Vec::new();
        read.try_reserve_exact(bytes).map_err(|_| too_large(length))?;
        read.resize(bytes, 0);
        read_at(file, &mut read, part.start)?;
        Ok(Mapping(read))
    }

    /// Bytes that were read already.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Mapping {
        Mapping(bytes)
    }

    /// All of it is there.
    pub(crate) fn prefetch(&self) {}

    /// All of it stays.
    pub(crate) fn release(&self, _bytes: &[u8]) {}
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Fills `to` with the bytes of a file from `start` on.
pub(crate) fn read_at(mut file: &File, to: &mut [u8], start: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(to)
}
