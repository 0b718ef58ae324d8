//! A program that drafts would be another process, of which there are none here: whoever names one is told.

use std::{path::Path, thread::JoinHandle, time::Duration};

use super::protocol::{Asks, Drafter, Proposals};
use crate::{Error, Result};

/// The lines of a program, of which there is none.
#[derive(Debug)]
pub(super) enum DraftProcess {}

/// A program that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) lines: DraftProcess,
    pub(super) process: Running,
}

/// A process.
#[derive(Debug)]
pub(crate) enum Running {}

impl Running {
    /// Ends it.
    pub(super) fn end(&mut self) {
        match *self {}
    }
}

impl Drafter for DraftProcess {
    fn propose(&mut self, _asks: &Asks) -> Result<Proposals> {
        match *self {}
    }
}

fn none(what: &str) -> Error {
    Error::Failed(format!(
        "WebAssembly has no other {what}: run without --draft; --speculate needs none"
    ))
}

/// A thread about drafts.
pub(super) fn thread<T: Send + 'static>(_work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Err(none("threads"))
}

/// Refuses.
///
/// # Errors
///
/// Always.
pub(super) fn start(_path: &Path, _vocab: usize, _patience: Duration) -> Result<Started> {
    Err(none("processes"))
}
