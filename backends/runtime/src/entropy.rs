//! Random numbers from the system.

use crate::{Error, Result};

/// A number that nobody knows before.
pub(crate) fn any_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer has the length that the call is told.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got != bytes.len() as isize {
        let error = std::io::Error::last_os_error();
        return Err(Error::Failed(format!("the system gives no random number: {error}")));
    }
    Ok(u64::from_le_bytes(bytes))
}
