//! Which interface of which version this is.

use std::ffi::{CStr, c_char};

/// The number of the interface, `SEQC_ABI`.
pub(super) const ABI: u32 = 1;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no zero inside"),
};

/// See `seqc.h`.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_version() -> *const c_char {
    VERSION.as_ptr()
}

/// See `seqc.h`.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_abi() -> u32 {
    ABI
}
