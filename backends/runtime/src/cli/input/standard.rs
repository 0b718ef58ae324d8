//! Standard input as a file of tensors.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, FromRawFd},
    path::PathBuf,
};

use seqc_checkpoint::Checkpoint;

use crate::{Error, Result};

/// Standard input may be a pipe, which cannot be mapped: its bytes, the first of which were read already, go through a file in memory.
pub(super) fn open(head: &[u8], rest: &mut impl Read) -> Result<Checkpoint> {
    let failed = |error: io::Error| Error::Failed(format!("a file in memory: {error}"));
    // SAFETY: the name is a C string; the call gives a fresh descriptor or -1.
    let number = unsafe { libc::memfd_create(c"standard input".as_ptr(), libc::MFD_CLOEXEC) };
    if number < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    // SAFETY: the descriptor is fresh and nobody else's.
    let mut file = unsafe { File::from_raw_fd(number) };
    file.write_all(head).map_err(failed)?;
    io::copy(rest, &mut file).map_err(failed)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok(Checkpoint::open(path)?)
}
