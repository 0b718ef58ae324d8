//! The C interface of `include/seqc.h`.

use std::{
    cell::RefCell,
    ffi::{CStr, CString, OsStr, c_char, c_int},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    sync::Arc,
};

use crate::{
    Error, Result,
    code::Code,
    finite,
    inputs::Values,
    model::{Model, Options},
    session::{Cut, Session, Wanted},
    streams,
};

/// A model that C holds.
#[derive(Debug)]
pub struct CModel(Arc<Model>);

/// A session that C holds.
#[derive(Debug)]
pub struct CSession {
    /// Borrows from `model`; stands first, so that it is dropped first.
    session: Session<'static>,
    /// Scores after the last token.
    logits: Vec<f32>,
    /// Place of the logits among the outputs.
    place: usize,
    /// The state that was loaded, and the tokens read since then: to report where logits became non-finite.
    start: Option<PathBuf>,
    read: Vec<i64>,
    _model: Arc<Model>,
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Remembers why a call failed.
fn fail(error: &Error) -> c_int {
    let text = error.to_string().replace('\0', " ");
    // No zero is left in the text.
    LAST.set(CString::new(text).unwrap_or_default());
    error.status()
}

fn pointer<T>(result: Result<T>) -> *mut T {
    match result {
        Ok(value) => Box::into_raw(Box::new(value)),
        Err(error) => {
            fail(&error);
            ptr::null_mut()
        }
    }
}

fn status(result: Result<()>) -> c_int {
    result.map_or_else(|error| fail(&error), |()| 0)
}

fn null(what: &str) -> Error {
    Error::input(format!("{what} is NULL"))
}

/// # Safety
///
/// `path` is NULL or a C string that outlives the result.
unsafe fn path<'a>(path: *const c_char) -> Option<&'a Path> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(path) };
    Some(Path::new(OsStr::from_bytes(text.to_bytes())))
}

fn open(code: Code, weights: Option<&Path>, threads: usize) -> Result<CModel> {
    let options = Options {
        weights: weights.map(Path::to_owned),
        threads,
        ..Options::default()
    };
    Ok(CModel(Arc::new(Model::load(code, &options)?)))
}

fn begin(model: &CModel) -> Result<CSession> {
    let model = model.0.clone();
    let place = streams::logits(model.descriptor())?;
    // SAFETY: the session borrows from the model behind the `Arc`, which lies still, is never given out mutably, and is
    // kept in the same struct until the session is dropped.
    let lasting: &'static Model = unsafe { &*Arc::as_ptr(&model) };
    Ok(CSession {
        session: Session::new(lasting)?,
        logits: Vec::new(),
        place,
        start: None,
        read: Vec::new(),
        _model: model,
    })
}

impl CSession {
    fn feed(&mut self, tokens: &[i64]) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let mut all = self.session.take_pending();
        all.extend(tokens);
        let (logits, place) = (&mut self.logits, self.place);
        let inputs = [Values::I64(all)];
        self.session.feed(&inputs, &Cut::default(), Wanted::Last, |outputs| {
            logits.clear();
            logits.extend(outputs.floats(place));
            Ok(())
        })?;
        let [Values::I64(all)] = inputs else { return Ok(()) };
        self.read.extend(all);
        if !finite::undecided(&self.logits) {
            return Ok(());
        }
        self.logits.clear();
        let read = [Values::I64(self.read.clone())];
        let fault = finite::trace(self.session.model(), self.start.as_deref(), [read]);
        Err(Error::input(finite::no_token(self.session.position(), fault)))
    }

    fn reset(&mut self) -> Result<()> {
        self.logits.clear();
        self.read.clear();
        self.start = None;
        self.session.reset()
    }

    fn save(&self, path: &Path) -> Result<()> {
        self.session.save(path, &self.session.model().files(), &[])
    }

    fn load(&mut self, path: &Path) -> Result<()> {
        self.session.load(path)?;
        self.logits.clear();
        self.read.clear();
        self.start = Some(path.to_owned());
        Ok(())
    }
}

/// See `seqc.h`.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_error() -> *const c_char {
    LAST.with_borrow(|text| text.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// `weights` is NULL or a C string.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_open(weights: *const c_char, threads: usize) -> *mut CModel {
    // SAFETY: the caller's promise.
    let weights = unsafe { path(weights) };
    pointer(crate::code::code().and_then(|code| open(code, weights, threads)))
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or was given by `seqc_model_open` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_free(model: *mut CModel) {
    if !model.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(model) });
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_vocab(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    let vocab = model.and_then(|model| model.0.descriptor().inputs.first()?.vocab);
    vocab.unwrap_or(0)
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_new(model: *const CModel) -> *mut CSession {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    pointer(model.ok_or_else(|| null("the model")).and_then(begin))
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or was given by `seqc_session_new` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_free(session: *mut CSession) {
    if !session.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(session) });
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed, used by this thread alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_reset(session: *mut CSession) -> c_int {
    // SAFETY: the caller's promise.
    let session = unsafe { session.as_mut() };
    status(session.ok_or_else(|| null("the session")).and_then(CSession::reset))
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_position(session: *const CSession) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { session.as_ref() }.map_or(0, |session| session.session.position())
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed, used by this thread alone; `tokens` is NULL or leads to `count` tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_feed(session: *mut CSession, tokens: *const i64, count: usize) -> c_int {
    // SAFETY: the caller's promise.
    let Some(session) = (unsafe { session.as_mut() }) else {
        return fail(&null("the session"));
    };
    if count == 0 {
        return 0;
    }
    if tokens.is_null() {
        return fail(&null("the list of tokens"));
    }
    // SAFETY: the caller's promise.
    status(session.feed(unsafe { std::slice::from_raw_parts(tokens, count) }))
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; `length` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_logits(session: *const CSession, length: *mut usize) -> *const f32 {
    // SAFETY: the caller's promise.
    let logits = unsafe { session.as_ref() }.map_or(&[][..], |session| &session.logits);
    // SAFETY: the caller's promise.
    if let Some(length) = unsafe { length.as_mut() } {
        *length = logits.len();
    }
    if logits.is_empty() {
        fail(&Error::input("no token has been read"));
        return ptr::null();
    }
    logits.as_ptr()
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; `path` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_save(session: *const CSession, path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { (session.as_ref(), self::path(path)) } {
        (Some(session), Some(path)) => status(session.save(path)),
        _ => fail(&null("the session or the path")),
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed, used by this thread alone; `path` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_load(session: *mut CSession, path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { (session.as_mut(), self::path(path)) } {
        (Some(session), Some(path)) => status(session.load(path)),
        _ => fail(&null("the session or the path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BROKEN, VOCAB, adder, breaker, fresh, total};

    fn last_error() -> String {
        // SAFETY: the text is valid until the next call that fails.
        unsafe { CStr::from_ptr(seqc_error()) }.to_string_lossy().into_owned()
    }

    fn best(session: *const CSession) -> usize {
        let mut length = 0;
        // SAFETY: the session lives; the logits are read at once.
        let logits = unsafe {
            let start = seqc_session_logits(session, &raw mut length);
            std::slice::from_raw_parts(start, length)
        };
        crate::generation::greedy(logits)
    }

    #[test]
    fn scores_that_are_no_numbers_are_an_error() {
        let model = pointer(open(breaker(), None, 1));
        let fed = |session, token: i64| {
            // SAFETY: the session lives, and so does the token.
            unsafe { seqc_session_feed(session, &raw const token, 1) }
        };
        // SAFETY: all pointers come from the functions above and are freed once.
        unsafe {
            let session = seqc_session_new(model);
            assert_eq!((fed(session, 1), fed(session, BROKEN)), (0, 1));
            assert!(last_error().contains("layers.1.breaks, at token 1"), "{}", last_error());
            assert!(seqc_session_logits(session, ptr::null_mut()).is_null());
            assert_eq!(seqc_session_reset(session), 0);
            assert_eq!(fed(session, 2), 0);
            seqc_session_free(session);
            seqc_model_free(model);
        }
    }

    #[test]
    fn c_reads_tokens_and_logits_and_keeps_states() {
        let model = pointer(open(adder("adder"), None, 2));
        let file = CString::new(fresh("state").into_os_string().into_encoded_bytes()).expect("a path");
        // SAFETY: all pointers come from the functions above and are freed once, the model first.
        unsafe {
            assert_eq!(seqc_model_vocab(model), VOCAB);
            let (one, other) = (seqc_session_new(model), seqc_session_new(model));
            assert!(seqc_session_logits(one, ptr::null_mut()).is_null());
            seqc_model_free(model);
            assert_eq!(seqc_session_feed(one, [1, 2, 3].as_ptr(), 3), 0);
            assert_eq!((best(one), seqc_session_position(one)), (6, 3));
            assert_eq!(seqc_session_save(one, file.as_ptr()), 0);
            assert_eq!(seqc_session_load(other, file.as_ptr()), 0);
            assert_eq!(seqc_session_feed(other, [4].as_ptr(), 1), 0);
            assert_eq!(best(other), 10);
            assert_eq!(seqc_session_reset(other), 0);
            assert_eq!(seqc_session_feed(other, [5].as_ptr(), 1), 0);
            assert_eq!(best(other), 5);
            seqc_session_free(one);
            seqc_session_free(other);
        }
    }

    #[test]
    fn mistakes_are_told_as_text() {
        let model = pointer(open(adder("adder"), None, 1));
        // SAFETY: as above; NULL is allowed everywhere.
        unsafe {
            let session = seqc_session_new(model);
            assert_eq!(seqc_session_feed(session, [99].as_ptr(), 1), 1);
            assert!(last_error().contains("99"), "{}", last_error());
            assert_eq!(seqc_session_feed(session, ptr::null(), 1), 1);
            assert_eq!(seqc_session_load(session, c"/nowhere/at/all".as_ptr()), 1);
            assert!(last_error().contains("/nowhere/at/all"), "{}", last_error());
            assert_eq!(seqc_session_save(session, ptr::null()), 1);
            assert_eq!(seqc_session_feed(ptr::null_mut(), ptr::null(), 0), 1);
            assert!(seqc_session_new(ptr::null()).is_null());
            assert_eq!(seqc_session_position(ptr::null()), 0);
            seqc_session_free(session);
            seqc_model_free(model);
            seqc_model_free(ptr::null_mut());
        }
        let ahead = pointer(open(total(), None, 1));
        // SAFETY: as above.
        unsafe {
            assert!(seqc_session_new(ahead).is_null());
            assert!(last_error().contains("looks ahead"), "{}", last_error());
            seqc_model_free(ahead);
        }
    }
}
