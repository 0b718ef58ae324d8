//! Functions of the caller's that are told how far a reading is, and may stop it.

use std::{
    any::Any,
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::ffi;

/// Is told the tokens that have been read, and all; `false` stops the reading.
pub type Progress<'p> = dyn FnMut(u64, u64) -> bool + 'p;

/// A function while the library may call it.
pub(crate) struct Told<'p, 'f> {
    progress: &'f mut Progress<'p>,
    /// What it panicked with, for the caller of the library.
    panic: Option<Box<dyn Any + Send>>,
}

impl<'p, 'f> Told<'p, 'f> {
    pub(crate) fn new(progress: &'f mut Progress<'p>) -> Told<'p, 'f> {
        Told {
            progress,
            panic: None,
        }
    }

    /// For C; the library may call it as long as this lives.
    pub(crate) fn callbacks(&mut self) -> ffi::Callbacks {
        ffi::Callbacks {
            size: size_of::<ffi::Callbacks>(),
            user: (&raw mut *self).cast(),
            progress: Some(tell),
            token: None,
        }
    }

    /// The call is over: goes on with a panic, if there was one.
    pub(crate) fn end(self) {
        if let Some(panic) = self.panic {
            resume_unwind(panic);
        }
    }
}

unsafe extern "C" fn tell(user: *mut c_void, done: u64, total: u64) -> c_int {
    // SAFETY: `callbacks` gave this pointer, and its owner waits for the call to end.
    let told = unsafe { &mut *user.cast::<Told>() };
    match catch_unwind(AssertUnwindSafe(|| (told.progress)(done, total))) {
        Ok(goes_on) => c_int::from(!goes_on),
        Err(panic) => {
            told.panic = Some(panic);
            1
        }
    }
}
