//! Sessions that C holds: one sequence each, read by one thread at a time.

use std::{
    ffi::{c_char, c_int, c_void},
    path::Path,
    ptr,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    answer::CAnswer,
    callbacks::CCallbacks,
    memory,
    model::{CModel, Shared, make},
    outcome::{Fault, Keeps, Outcome, Text, caught, freed, made, status, taken, tell},
    pointers,
    reading::{self, Reading},
};
use crate::{
    Error, Result, finite,
    inputs::Values,
    session::{Session, Wanted},
    streams,
};

/// A session that C holds.
#[derive(Debug)]
pub struct CSession {
    /// Borrows from `model`; stands first, so that it is dropped first.
    inner: Mutex<Inner>,
    pub(super) text: Text,
    pub(super) model: Arc<Shared>,
}

/// What a session does.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) session: Session<'static>,
    /// Place of the logits among the outputs, where there are any.
    pub(super) logits_place: Option<usize>,
    /// The answer that is being generated.
    pub(super) answer: Option<CAnswer>,
    /// Tokens between two snapshots, 0 for none.
    pub(super) interval: u64,
}

impl CSession {
    fn new(model: &Arc<Shared>, session: Session<'static>, interval: u64) -> CSession {
        let inner = Inner {
            session,
            logits_place: streams::logits(model.model().descriptor()).ok(),
            answer: None,
            interval,
        };
        CSession {
            inner: Mutex::new(inner),
            text: Text::default(),
            model: Arc::clone(model),
        }
    }

    /// The session, unless it does something else.
    pub(super) fn lock(&self) -> Outcome<MutexGuard<'_, Inner>> {
        taken(&self.inner, "session")
    }
}

impl Inner {
    /// Reads tokens.
    pub(super) fn read(&mut self, tokens: Vec<i64>, callbacks: &CCallbacks) -> Outcome<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let inputs = [Values::I64(tokens)];
        let reading = Reading {
            session: &mut self.session,
            inputs: &inputs,
            wanted: Wanted::Last,
            places: Vec::new(),
        };
        reading::read(vec![reading], callbacks)?;
        self.check_finite()
    }

    /// Ends an answer: the session has read what was given of it.
    pub(super) fn settle(&mut self) -> Outcome<()> {
        match self.answer.take() {
            Some(given) => {
                given.answer.settle(&mut self.session)?;
                self.check_finite()
            }
            None => Ok(()),
        }
    }

    /// Refuses logits from which no token can be chosen.
    pub(super) fn check_finite(&self) -> Outcome<()> {
        let last = self.logits_place.and_then(|place| self.session.last(place));
        if !last.is_some_and(finite::undecided) {
            return Ok(());
        }
        let read = self.session.tokens().map(|tokens| [Values::I64(tokens.to_vec())]);
        let fault = finite::trace(self.session.begun(), self.session.prompts(), read);
        Err(Error::input(finite::no_token(self.session.position(), fault)).into())
    }

    /// Logits after the last token, if there are any that choose one.
    pub(super) fn logits(&self) -> Option<&[f32]> {
        let last = self.session.last(self.logits_place?)?;
        (!finite::undecided(last)).then_some(last)
    }

    /// Tokens read so far, and those of an answer that were given and will be.
    fn position(&self) -> u64 {
        let answer = |given: &CAnswer| given.answer.start() + given.answer.given().len() as u64;
        self.answer.as_ref().map_or(self.session.position(), answer)
    }

    /// The tokens up to that position.
    fn tokens(&self) -> Option<Vec<i64>> {
        let read = self.session.tokens()?;
        Some(match &self.answer {
            Some(CAnswer { answer, .. }) => [read.get(..answer.start() as usize)?, answer.given()].concat(),
            None => read.to_vec(),
        })
    }

    fn save(&mut self, path: &Path) -> Outcome<()> {
        self.settle()?;
        let files = self.session.model().files();
        Ok(self.session.save_file(path, &files)?)
    }

    /// Another state instead of this one, which stays if that cannot be had.
    fn replace(&mut self, load: impl FnOnce(&mut Session<'static>) -> Result<()>) -> Outcome<()> {
        load(&mut self.session)?;
        self.answer = None;
        Ok(())
    }
}

/// Something with a session, whose text tells what is wrong.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed.
pub(super) unsafe fn with(session: *const CSession, call: impl FnOnce(&mut Inner) -> Outcome<()>) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { with_model(session, |_, inner| call(inner)) }
}

/// [`with`], where the model is needed too.
///
/// # Safety
///
/// As [`with`].
pub(super) unsafe fn with_model(
    session: *const CSession,
    call: impl FnOnce(&Shared, &mut Inner) -> Outcome<()>,
) -> c_int {
    // SAFETY: the caller's promise.
    let session = unsafe { session.as_ref() };
    let object = session.map(|session| &session.text as &dyn Keeps);
    status(object, || {
        let session = session.ok_or_else(|| Fault::null("session"))?;
        call(&session.model, &mut *session.lock()?)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_new(model: *const CModel) -> *mut CSession {
    // SAFETY: the caller's promise.
    make(unsafe { model.as_ref() }, |shared| {
        Ok(CSession::new(shared, shared.session()?, 0))
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or was given by `seqc_session_new` or `seqc_session_fork`, and is freed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_free(session: *mut CSession) {
    // SAFETY: the caller's promise.
    unsafe { freed(session) };
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; so it is for all functions of sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_error(session: *const CSession) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { session.as_ref() }.map_or(c"".as_ptr(), |session| session.text.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_reset(session: *mut CSession) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            inner.answer = None;
            Ok(inner.session.reset()?)
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_position(session: *const CSession) -> u64 {
    // SAFETY: the caller's promise.
    let session = unsafe { session.as_ref() };
    let inner = session.and_then(|session| session.lock().ok());
    inner.map_or(0, |inner| inner.position())
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `tokens` and `count` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_tokens(
    session: *const CSession,
    tokens: *mut *mut i64,
    count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            let missing = || Error::input("the model does not read a list of tokens, or not all of them are known");
            memory::give(
                &inner.tokens().ok_or_else(missing)?,
                tokens,
                count,
                "place for the tokens",
            )
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `tokens` is NULL or leads to `count` tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_feed(session: *mut CSession, tokens: *const i64, count: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            let tokens = pointers::array(tokens, count, "list of tokens")?;
            inner.settle()?;
            inner.read(tokens.to_vec(), &CCallbacks::NONE)
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `length` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_logits(session: *const CSession, length: *mut usize) -> *const f32 {
    // SAFETY: the caller's promise.
    let object = unsafe { session.as_ref() };
    let found = caught(|| {
        let mut inner = object.ok_or_else(|| Fault::null("session"))?.lock()?;
        inner.settle()?;
        let logits = inner.logits().ok_or_else(|| {
            Error::input("there are no logits: no token has been read, or none since the sequence was cut")
        })?;
        Ok((logits.as_ptr(), logits.len()))
    });
    let (start, found) = found.unwrap_or_else(|fault| {
        tell(&fault, object.map(|session| &session.text as &dyn Keeps));
        (ptr::null(), 0)
    });
    // SAFETY: the caller's promise.
    if let Some(length) = unsafe { length.as_mut() } {
        *length = found;
    }
    start
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_fork(session: *const CSession) -> *mut CSession {
    // SAFETY: the caller's promise.
    let session = unsafe { session.as_ref() };
    made(session.map(|session| &session.text as &dyn Keeps), || {
        let session = session.ok_or_else(|| Fault::null("session"))?;
        let mut inner = session.lock()?;
        inner.settle()?;
        Ok(CSession::new(&session.model, inner.session.fork()?, inner.interval))
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_truncate(session: *mut CSession, position: u64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            inner.settle()?;
            Ok(inner.session.truncate(position)?)
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_end_prompt(session: *mut CSession, tokens: u64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            inner.settle()?;
            inner.session.end_prompt(tokens);
            Ok(())
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_snapshots(session: *mut CSession, interval: u64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            inner.interval = interval;
            inner.session.keep_snapshots(interval);
            Ok(())
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `path` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_save(session: *const CSession, path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            inner.save(pointers::path(path).ok_or_else(|| Fault::null("path"))?)
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `path` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_load(session: *mut CSession, path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            let path = pointers::path(path).ok_or_else(|| Fault::null("path"))?;
            inner.replace(|session| session.load(path))
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `bytes` and `size` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_save_memory(
    session: *const CSession,
    bytes: *mut *mut c_void,
    size: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            inner.settle()?;
            let mut saved: Vec<u8> = Vec::new();
            inner.session.save_to(&mut saved)?;
            memory::give(&saved, bytes.cast(), size, "place for the bytes")
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `bytes` is NULL or leads to `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_load_memory(session: *mut CSession, bytes: *const c_void, size: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            let bytes: &[u8] = pointers::array(bytes.cast(), size, "saved session")?;
            inner.replace(|session| session.load_from(bytes))
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_error`]; `alone` and `shared` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_memory(session: *const CSession, alone: *mut u64, shared: *mut u64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            let bytes = inner.session.bytes();
            for (place, found) in [(alone, bytes.alone), (shared, bytes.shared)] {
                if let Some(place) = place.as_mut() {
                    *place = found as u64;
                }
            }
            Ok(())
        })
    }
}
