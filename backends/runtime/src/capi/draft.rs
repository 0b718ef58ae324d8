//! The program that drafts for a model's sessions, and what became of its drafts.

use std::ffi::{c_char, c_int};

use super::{
    model::{CModel, ask},
    pointers,
};
use crate::{Error, speculation::DraftProgram};

/// `seqc_drafts`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CDrafts {
    pub(super) size: usize,
    pub(super) drafted: u64,
    pub(super) accepted: u64,
    pub(super) failure: *const c_char,
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `path` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_set_draft(model: *const CModel, path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| {
        // SAFETY: the caller's promise.
        let path = unsafe { pointers::path(path) };
        // What went wrong is told to those who ask.
        let start = |path| DraftProgram::start(path, shared.logits()?, Box::new(|_| {}));
        shared.draft.set(path.map(start).transpose()?);
        Ok(())
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `drafts` is NULL or can be written as far as its size says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_drafts(model: *const CModel, drafts: *mut CDrafts) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| {
        let missing = || Error::input("the model has no program that drafts");
        let drafted = shared.draft.drafted().ok_or_else(missing)?;
        let found = CDrafts {
            size: 0,
            drafted: drafted.totals.drafted,
            accepted: drafted.totals.accepted,
            failure: drafted.failure,
        };
        // SAFETY: the caller's promise.
        unsafe { pointers::fill_sized(drafts, found, "place for the drafts") }
    })
}
