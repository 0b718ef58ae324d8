//! The program that drafts for a model, as long as the model has no other one.

use std::{
    ffi::{CString, c_char},
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::speculation::{DraftProgram, DraftTotals};

/// A program that drafts, or none.
#[derive(Debug, Default)]
pub(super) struct Draft(Mutex<Attached>);

#[derive(Debug, Default)]
struct Attached {
    program: Option<Arc<DraftProgram>>,
    /// Why it drafts no more, for C; valid as long as the model.
    failure: Option<Arc<CString>>,
    /// The same of it and of programs before.
    failures: Vec<Arc<CString>>,
}

/// What became of the drafts of a program.
#[derive(Debug)]
pub(super) struct Drafted {
    pub(super) totals: DraftTotals,
    /// NULL, or why it drafts no more.
    pub(super) failure: *const c_char,
}

impl Draft {
    /// The program that drafts.
    pub(super) fn program(&self) -> Option<Arc<DraftProgram>> {
        self.lock().program.clone()
    }

    /// Another program that drafts, or none. Answers that have begun keep the one before.
    pub(super) fn set(&self, program: Option<DraftProgram>) {
        let mut attached = self.lock();
        attached.failure = None;
        let before = std::mem::replace(&mut attached.program, program.map(Arc::new));
        drop(attached);
        // Its process ends with the last one who uses it, and nobody waits for the lock meanwhile.
        drop(before);
    }

    /// What became of the drafts of the program, if there is one.
    pub(super) fn drafted(&self) -> Option<Drafted> {
        let mut attached = self.lock();
        let program = attached.program.clone()?;
        if attached.failure.is_none()
            && let Some(why) = program.failure()
        {
            // No zero is left in the text.
            let why = Arc::new(CString::new(why.replace('\0', " ")).unwrap_or_default());
            attached.failures.push(Arc::clone(&why));
            attached.failure = Some(why);
        }
        Some(Drafted {
            totals: program.totals(),
            failure: attached.failure.as_ref().map_or(ptr::null(), |why| why.as_ptr()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Attached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
