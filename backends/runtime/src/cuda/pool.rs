//! What runs generated code: the members of a device's team, which a kernel starts. One thread of this process waits for them.

use std::sync::Mutex;

use crate::{Error, Result, barrier::Meetings, code::Entry, device, memory::Region};

/// The members of the device.
#[derive(Debug)]
pub struct Pool {
    members: usize,
    /// How often blocks came to a barrier.
    counter: Region,
    /// One kernel runs at a time.
    turn: Mutex<()>,
}

impl Pool {
    /// The device's.
    ///
    /// # Errors
    ///
    /// No device, or a number of threads was asked for.
    pub fn new(threads: usize, _adapts: bool) -> Result<Pool> {
        if threads > 1 {
            return Err(Error::Usage(format!(
                "the threads of this program are those of its device, {threads} were asked for: leave out --threads"
            )));
        }
        Ok(Pool {
            members: device::device()?.members,
            counter: Region::new(size_of::<u64>())?,
            turn: Mutex::new(()),
        })
    }

    /// How many members run each function.
    pub fn threads(&self) -> usize {
        self.members
    }

    /// What goes into the frame's slot for barriers.
    pub(crate) fn barrier(&self) -> *const u8 {
        self.counter.as_ptr()
    }

    /// Other processes do not use a device's threads while a kernel runs.
    pub(crate) fn busy(&self) -> bool {
        false
    }

    /// Starts the kernel of `entry` and returns when it has ended.
    ///
    /// # Errors
    ///
    /// The kernel did not start, or failed.
    ///
    /// # Safety
    ///
    /// `frame` is what `entry` expects, in memory that the device sees but for the frame itself.
    pub unsafe fn run(&self, entry: Entry, frame: *const u64, _meetings: Meetings) -> Result<()> {
        let _turn = self.turn.lock();
        // SAFETY: the caller's promise.
        unsafe { entry(frame, 0, 1) };
        device::outcome()
    }

    /// The same for a single token.
    ///
    /// # Errors
    ///
    /// As [`Pool::run`].
    ///
    /// # Safety
    ///
    /// As [`Pool::run`].
    pub unsafe fn run_token(&self, entry: Entry, frame: *const u64) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.run(entry, frame, Meetings::Kernel) }
    }
}
