//! The one thread that there is: its time is not known, and nobody else waits for the processor.

use std::time::Duration;

/// A thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thread;

impl Thread {
    /// The one that calls.
    pub(super) fn current() -> Thread {
        Thread
    }

    /// The time that it had a processor.
    pub(super) fn used(self) -> Duration {
        Duration::ZERO
    }

    /// From now on it runs where others leave a processor free.
    pub(super) fn yield_to_others(self) {}
}
