//! How calls end: a status for C, and a text that the object of the call, and the thread, keep.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::{CString, c_char, c_int},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    thread::{self, ThreadId},
};

use crate::Error;

/// `SEQC_OK`.
pub(super) const OK: c_int = 0;
/// `SEQC_INPUT`.
pub(super) const INPUT: c_int = 1;
/// `SEQC_FAILED`.
pub(super) const FAILED: c_int = 2;
/// `SEQC_STOPPED`.
pub(super) const STOPPED: c_int = 3;

/// Why a call does not do what was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// An error of the runtime.
    #[error(transparent)]
    Error(#[from] Error),
    /// The object does something else, which keeps its text.
    #[error("the {0} is in use, by another thread or by the call whose callback this is")]
    Busy(&'static str),
    /// A callback stopped the call.
    #[error("a callback stopped the call")]
    Stopped,
}

impl Fault {
    fn status(&self) -> c_int {
        match self {
            Fault::Error(Error::Failed(_) | Error::Closed) => FAILED,
            Fault::Error(Error::Input(_) | Error::Usage(_) | Error::Checkpoint(_) | Error::Shown) => INPUT,
            Fault::Busy(_) => INPUT,
            Fault::Stopped => STOPPED,
        }
    }

    /// An object, or something else that must be there, is NULL.
    pub(super) fn null(what: &str) -> Fault {
        Error::input(format!("the {what} is NULL")).into()
    }
}

/// What a call gives.
pub(super) type Outcome<T> = Result<T, Fault>;

/// What keeps the text of a failure.
pub(super) trait Keeps {
    /// Keeps it.
    fn keep(&self, text: CString);
}

/// The text of an object that one thread uses at a time.
#[derive(Debug, Default)]
pub(super) struct Text(Mutex<CString>);

impl Text {
    /// Valid until the next failure.
    pub(super) fn as_ptr(&self) -> *const c_char {
        held(&self.0).as_ptr()
    }
}

impl Keeps for Text {
    fn keep(&self, text: CString) {
        *held(&self.0) = text;
    }
}

/// Texts of an object that several threads use at once: one for each.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<HashMap<ThreadId, CString>>);

impl Texts {
    /// The text of this thread, valid until its next failure.
    pub(super) fn as_ptr(&self) -> *const c_char {
        held(&self.0)
            .get(&thread::current().id())
            .map_or(c"".as_ptr(), |text| text.as_ptr())
    }
}

impl Keeps for Texts {
    fn keep(&self, text: CString) {
        held(&self.0).insert(thread::current().id(), text);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
    /// Where this thread panicked last.
    static PANICKED: RefCell<String> = RefCell::default();
}

/// Keeps panics from being written to standard error, which belongs to the program around the library: they are errors that say
/// where it was. Other Rust code of the program has hooks of its own.
#[cfg(not(test))]
pub(super) fn quiet() {
    use std::sync::Once;
    static SET: Once = Once::new();
    SET.call_once(|| {
        crate::generation::settle_panic_hook();
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            PANICKED.set(place.unwrap_or_default());
        }));
    });
}

/// See `seqc.h`.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_error() -> *const c_char {
    LAST.with_borrow(|text| text.as_ptr())
}

/// Tells why a call failed, and gives its status.
pub(super) fn tell(fault: &Fault, object: Option<&dyn Keeps>) -> c_int {
    let text = fault.to_string().replace('\0', " ");
    // No zero is left in the text.
    let text = CString::new(text).unwrap_or_default();
    if let Some(object) = object.filter(|_| !matches!(fault, Fault::Busy(_))) {
        object.keep(text.clone());
    }
    LAST.set(text);
    fault.status()
}

/// What an object does, for one call at a time. What a panic left is as good as before it.
pub(super) fn taken<'o, T>(object: &'o Mutex<T>, what: &'static str) -> Outcome<MutexGuard<'o, T>> {
    match object.try_lock() {
        Ok(taken) => Ok(taken),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Fault::Busy(what)),
    }
}

/// Runs a call. A panic is a bug, and an error that says so.
pub(super) fn caught<T>(call: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    // What the call was about to change stays as it is then; no invariant of memory depends on it.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let said = said.unwrap_or_default();
        let place = PANICKED.take();
        Err(Error::Failed(format!("a bug in the library: {said} {place}").trim_end().to_owned()).into())
    })
}

/// The status of a call.
pub(super) fn status(object: Option<&dyn Keeps>, call: impl FnOnce() -> Outcome<()>) -> c_int {
    caught(call).map_or_else(|fault| tell(&fault, object), |()| OK)
}

/// What a call makes, or NULL.
pub(super) fn made<T>(object: Option<&dyn Keeps>, call: impl FnOnce() -> Outcome<T>) -> *mut T {
    match caught(call) {
        Ok(value) => Box::into_raw(Box::new(value)),
        Err(fault) => {
            tell(&fault, object);
            ptr::null_mut()
        }
    }
}

/// Frees what [`made`] made.
///
/// # Safety
///
/// `object` is NULL or comes from [`made`] and is freed once.
pub(super) unsafe fn freed<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(object) });
    }
}
