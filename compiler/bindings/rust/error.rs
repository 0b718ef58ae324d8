//! Why a call failed.

use std::{
    ffi::{CStr, CString, c_char, c_int},
    fmt,
};

use crate::ffi;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Wrong input: files, tokens, requests.
    Input,
    /// The system refused: memory, disk, threads; or a bug of the library.
    Failed,
    /// A callback asked to stop.
    Stopped,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn input(message: impl Into<String>) -> Error {
        Error {
            kind: ErrorKind::Input,
            message: message.into(),
        }
    }

    /// Of a call that ended with this status, as the object says.
    ///
    /// # Safety
    ///
    /// `text` is a C string.
    pub(crate) unsafe fn of(status: c_int, text: *const c_char) -> Error {
        Error {
            kind: match status {
                ffi::INPUT => ErrorKind::Input,
                ffi::STOPPED => ErrorKind::Stopped,
                _ => ErrorKind::Failed,
            },
            // SAFETY: the caller's promise.
            message: unsafe { CStr::from_ptr(text) }
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// Of a call that made nothing in this thread.
    pub(crate) fn last() -> Error {
        // SAFETY: the text is valid until the next failure in this thread.
        unsafe { Error::of(ffi::INPUT, ffi::seqc_error()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A text for C.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|_| Error::input("a text for the library has a zero inside"))
}

/// A copy of what the library gives, which is freed.
///
/// # Safety
///
/// The library gave `count` values at `start`, and they were not freed.
pub(crate) unsafe fn taken<T: Copy>(start: *mut T, count: usize) -> Vec<T> {
    // SAFETY: the caller's promise.
    unsafe {
        let values = std::slice::from_raw_parts(start, count).to_vec();
        ffi::seqc_free(start.cast());
        values
    }
}
