//! Pointers of C, checked: texts, paths, arrays, structures that may grow, and places for results.

use std::{
    ffi::{CStr, OsStr, c_char},
    path::Path,
    slice,
};

use super::outcome::{Fault, Outcome};
use crate::Error;

/// `SEQC_ZERO_TERMINATED`.
const ZERO_TERMINATED: usize = usize::MAX;

/// A path; `None` for NULL.
///
/// # Safety
///
/// `path` is NULL or a C string that outlives the result.
pub(super) unsafe fn path<'a>(path: *const c_char) -> Option<&'a Path> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(path) };
    // SAFETY: on these systems every sequence of bytes without NUL is a string of the system, and a path may be one that does not exist.
    Some(Path::new(unsafe {
        OsStr::from_encoded_bytes_unchecked(text.to_bytes())
    }))
}

/// A text of so many bytes, or up to its zero.
///
/// # Safety
///
/// `text` is NULL or leads to so many bytes, or a C string, that outlives the result.
pub(super) unsafe fn text<'a>(text: *const c_char, length: usize, what: &str) -> Outcome<&'a str> {
    let bytes = match length {
        ZERO_TERMINATED if text.is_null() => return Err(Fault::null(what)),
        // SAFETY: the caller's promise.
        ZERO_TERMINATED => unsafe { CStr::from_ptr(text) }.to_bytes(),
        // SAFETY: the caller's promise.
        length => unsafe { array(text.cast::<u8>(), length, what) }?,
    };
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        Error::input(format!("the {what} is not UTF-8: its byte {at} does not belong there")).into()
    })
}

/// A C string.
///
/// # Safety
///
/// `text` is NULL or a C string that outlives the result.
pub(super) unsafe fn string<'a>(text: *const c_char, what: &str) -> Outcome<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { self::text(text, ZERO_TERMINATED, what) }
}

/// An array, which may be NULL if it is empty.
///
/// # Safety
///
/// `start` is NULL or leads to `count` values that outlive the result and are not written meanwhile.
pub(super) unsafe fn array<'a, T>(start: *const T, count: usize, what: &str) -> Outcome<&'a [T]> {
    check_array(start, count, what)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller's promise; neither NULL nor crooked nor too long, which was checked.
    Ok(unsafe { slice::from_raw_parts(start, count) })
}

/// Whether an array can be where it is said to be.
pub(super) fn check_array<T>(start: *const T, count: usize, what: &str) -> Outcome<()> {
    if count == 0 {
        return Ok(());
    }
    if start.is_null() {
        return Err(Fault::null(what));
    }
    if !start.is_aligned() {
        let bytes = align_of::<T>();
        return Err(Error::input(format!("the {what} is not at a multiple of {bytes} bytes")).into());
    }
    let bytes = count.checked_mul(size_of::<T>());
    if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Error::input(format!("the {what} has {count} elements, more than any memory")).into());
    }
    Ok(())
}

/// A place where a result goes.
///
/// # Safety
///
/// `place` is NULL or can be written, by nobody else as long as the result lives.
pub(super) unsafe fn place<'a, T>(place: *mut T, what: &str) -> Outcome<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { place.as_mut() }.ok_or_else(|| Fault::null(what))
}

/// A structure that begins with its size, a `size_t`, as this library knows it: fields that the caller does not know stay as in
/// `value`. It is plain data for which zeros are valid.
///
/// # Safety
///
/// `from` is NULL or leads to as many bytes as its size says.
pub(super) unsafe fn sized<T: Copy>(from: *const T, mut value: T, what: &str) -> Outcome<T> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_caller(from, what) }?;
    let bytes = size.min(size_of::<T>());
    // SAFETY: both have so many bytes.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast(), bytes) };
    Ok(value)
}

/// Fills a structure that begins with its size, which stays, as far as the caller knows it.
///
/// # Safety
///
/// `to` is NULL or leads to as many bytes as its size says, which can be written.
pub(super) unsafe fn fill_sized<T: Copy>(to: *mut T, value: T, what: &str) -> Outcome<()> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_caller(to, what) }?;
    let (skipped, bytes) = (size_of::<usize>(), size.min(size_of::<T>()));
    // SAFETY: both have so many bytes.
    unsafe {
        let from = (&raw const value).cast::<u8>().add(skipped);
        std::ptr::copy_nonoverlapping(from, to.cast::<u8>().add(skipped), bytes - skipped);
    }
    Ok(())
}

/// # Safety
///
/// `structure` is NULL or begins with its size.
unsafe fn size_of_caller<T>(structure: *const T, what: &str) -> Outcome<usize> {
    check_array(structure, 1, what)?;
    // SAFETY: the caller's promise.
    let size = unsafe { *structure.cast::<usize>() };
    if size < size_of::<usize>() {
        return Err(Error::input(format!("the `size` of the {what} is not set")).into());
    }
    Ok(size)
}
