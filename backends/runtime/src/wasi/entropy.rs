//! Random numbers from the host.

use crate::{Error, Result};

/// A number that nobody knows before.
pub(crate) fn any_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer has the length that the call is told, at most 256 bytes.
    if unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) } != 0 {
        let error = std::io::Error::last_os_error();
        return Err(Error::Failed(format!("the host gives no random number: {error}")));
    }
    Ok(u64::from_le_bytes(bytes))
}
