//! The meeting point of all threads inside generated code: reached hundreds of times for every token.

use std::{
    hint,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use crate::scheduling::{sleep, wake};

/// Looks at the round before the processor is offered to others, when every thread has a core.
const SPINS: u32 = 2500;
/// The same when threads share cores: whoever is awaited may need this one.
const SPINS_SHARED: u32 = 32;
/// Offers of the processor before the thread sleeps.
const YIELDS: u32 = 400;

/// How often the threads of a call meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meetings {
    /// Between kernels.
    Kernel,
    /// For every token.
    Token,
}

/// A barrier that can be reused at once. The counters lie on lines of their own.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Barrier {
    arrived: Line,
    round: Line,
    sleepers: Line,
    spins: u32,
}

#[derive(Debug)]
#[repr(align(64))]
struct Line(AtomicU32);

impl Line {
    fn new() -> Line {
        Line(AtomicU32::new(0))
    }
}

impl Barrier {
    /// A barrier for `threads` threads.
    pub fn new(threads: usize) -> Barrier {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Barrier {
            arrived: Line::new(),
            round: Line::new(),
            sleepers: Line::new(),
            spins: if threads > cores { SPINS_SHARED } else { SPINS },
        }
    }

    /// Returns when `threads` threads have called it.
    pub fn wait(&self, threads: u32) {
        if threads <= 1 {
            return;
        }
        let round = self.round.0.load(Ordering::Acquire);
        if self.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == threads {
            self.arrived.0.store(0, Ordering::Relaxed);
            // Sequentially consistent against a sleeper's announcement: one of the two sees the other.
            self.round.0.store(round.wrapping_add(1), Ordering::SeqCst);
            if self.sleepers.0.load(Ordering::SeqCst) > 0 {
                wake(&self.round.0);
            }
        } else {
            self.wait_for_the_last(round);
        }
    }

    fn wait_for_the_last(&self, round: u32) {
        let same = || self.round.0.load(Ordering::Acquire) == round;
        for _ in 0..self.spins {
            if !same() {
                return;
            }
            hint::spin_loop();
        }
        for _ in 0..YIELDS {
            if !same() {
                return;
            }
            thread::yield_now();
        }
        self.sleepers.0.fetch_add(1, Ordering::SeqCst);
        while self.round.0.load(Ordering::SeqCst) == round {
            sleep(&self.round.0, round);
        }
        self.sleepers.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What generated code calls where its threads meet.
///
/// # Safety
///
/// `barrier` is the pointer of the frame, and all `threads` threads of the pool call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_barrier(barrier: *mut u8, _tid: i64, threads: i64) {
    if threads > 1 {
        // SAFETY: the frame's slot holds a `Barrier` that outlives the call.
        let barrier = unsafe { &*barrier.cast::<Barrier>() };
        barrier.wait(threads as u32);
    }
}
