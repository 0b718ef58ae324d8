//! Functions of the caller's that are told how a call goes, and may stop it.

use std::ffi::{c_int, c_void};

use super::{
    outcome::{Fault, Outcome},
    pointers,
};

/// `seqc_candidate`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct CCandidate {
    pub(super) token: i64,
    pub(super) logprob: f64,
}

/// `seqc_token`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CToken {
    pub(super) size: usize,
    pub(super) token: i64,
    pub(super) text: *const std::ffi::c_char,
    pub(super) length: usize,
    pub(super) end: *const std::ffi::c_char,
    pub(super) logprob: f64,
    pub(super) candidates: usize,
    pub(super) best: *const CCandidate,
    pub(super) status: i32,
    pub(super) reserved: i32,
}

impl CToken {
    /// No part.
    pub(super) const NONE: CToken = CToken {
        size: size_of::<CToken>(),
        token: -1,
        text: c"".as_ptr(),
        length: 0,
        end: std::ptr::null(),
        logprob: 0.0,
        candidates: 0,
        best: std::ptr::null(),
        status: 0,
        reserved: 0,
    };
}

/// `seqc_callbacks`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CCallbacks {
    pub(super) size: usize,
    pub(super) user: *mut c_void,
    pub(super) progress: Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> c_int>,
    pub(super) token: Option<unsafe extern "C" fn(*mut c_void, *const CToken) -> c_int>,
}

impl CCallbacks {
    /// Nobody is told.
    pub(super) const NONE: CCallbacks = CCallbacks {
        size: size_of::<CCallbacks>(),
        user: std::ptr::null_mut(),
        progress: None,
        token: None,
    };

    /// Those of a caller; none for NULL.
    ///
    /// # Safety
    ///
    /// `from` is NULL or leads to callbacks of the size that it says, which may be called as their types say until the call
    /// ends.
    pub(super) unsafe fn read(from: *const CCallbacks) -> Outcome<CCallbacks> {
        if from.is_null() {
            return Ok(CCallbacks::NONE);
        }
        // SAFETY: the caller's promise.
        unsafe { pointers::sized(from, CCallbacks::NONE, "structure of callbacks") }
    }

    /// So much has been read of what there is.
    pub(super) fn progress(&self, done: u64, total: u64) -> Outcome<()> {
        // SAFETY: the promise of `read`.
        CCallbacks::went(self.progress.map(|call| unsafe { call(self.user, done, total) }))
    }

    /// A part of an answer has come.
    pub(super) fn token(&self, token: &CToken) -> Outcome<()> {
        // SAFETY: the promise of `read`.
        CCallbacks::went(self.token.map(|call| unsafe { call(self.user, token) }))
    }

    fn went(said: Option<c_int>) -> Outcome<()> {
        match said {
            None | Some(0) => Ok(()),
            Some(_) => Err(Fault::Stopped),
        }
    }
}
