//! What models read and give, described for C.

use std::ffi::c_int;

use super::{
    described::{CStream, Described},
    model::{CModel, ask},
    pointers,
};
use crate::Error;

/// Fills a description.
///
/// # Safety
///
/// `to` is NULL or can be written as far as its size says.
pub(super) unsafe fn describe(streams: &[Described], number: usize, to: *mut CStream) -> super::outcome::Outcome<()> {
    let found = streams.get(number).ok_or_else(|| {
        Error::input(format!(
            "the model has no stream {number} there: there are {}",
            streams.len()
        ))
    })?;
    // SAFETY: the caller's promise.
    unsafe { pointers::fill_sized(to, found.as_c(), "place for the stream") }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_inputs(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.inputs.len())
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_outputs(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.outputs.len())
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `stream` is NULL or can be written as far as its size says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_input(model: *const CModel, number: usize, stream: *mut CStream) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        describe(&shared.inputs, number, stream)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_input`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_output(model: *const CModel, number: usize, stream: *mut CStream) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        describe(&shared.outputs, number, stream)
    })
}
