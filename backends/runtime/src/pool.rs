//! Threads that all run the same generated function on the same frame.

use std::{
    cell::UnsafeCell,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{Barrier, Error, Result, code::Entry};

/// Bytes of a thread's stack; generated code keeps its data in frames and scratch, not here.
const STACK: usize = 4 << 20;
/// More threads than this are refused.
pub const MOST_THREADS: usize = 1024;

/// A fixed number of threads, the caller's among them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Only one caller at a time may hand out work.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    threads: usize,
    /// Where workers wait for work and the caller for them.
    gate: Barrier,
    /// What generated code meets at.
    inner: Barrier,
    job: UnsafeCell<Job>,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Call(Entry, *const u64),
    Quit,
}

// SAFETY: `job` is written only by the caller while all workers wait at the gate, and read only after it opened.
unsafe impl Sync for Shared {}
// SAFETY: the frame's pointers are used by workers only during a call, while the caller waits.
unsafe impl Send for Shared {}

impl Pool {
    /// Starts `threads - 1` threads; 0 asks for as many as there are cores.
    ///
    /// # Errors
    ///
    /// Too many threads, or the system refuses.
    pub fn new(threads: usize) -> Result<Pool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS),
            n => n,
        };
        if threads > MOST_THREADS {
            return Err(Error::Usage(format!(
                "{threads} threads; at most {MOST_THREADS} make sense"
            )));
        }
        let shared = Arc::new(Shared {
            threads,
            gate: Barrier::new(threads),
            inner: Barrier::new(threads),
            job: UnsafeCell::new(Job::Quit),
        });
        let mut pool = Pool {
            shared,
            workers: Vec::new(),
            turn: Mutex::new(()),
        };
        for tid in 1..threads {
            let shared = pool.shared.clone();
            let builder = thread::Builder::new().stack_size(STACK);
            match builder.spawn(move || work(&shared, tid)) {
                Ok(worker) => pool.workers.push(worker),
                Err(error) => {
                    // The gate never opens with a thread missing: those that started stay parked, unjoined.
                    pool.workers.clear();
                    return Err(Error::Failed(format!(
                        "thread {tid} of {threads} cannot be started: {error}"
                    )));
                }
            }
        }
        Ok(pool)
    }

    /// How many threads call each function.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// What goes into the frame's slot for `seqc_barrier`.
    pub(crate) fn barrier(&self) -> *const Barrier {
        &raw const self.shared.inner
    }

    /// Calls `entry` on all threads and returns when all have returned.
    ///
    /// # Safety
    ///
    /// `frame` is what `entry` expects.
    pub unsafe fn run(&self, entry: Entry, frame: *const u64) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = self.shared.threads as u32;
        if threads > 1 {
            // SAFETY: all workers wait at the gate, see `Shared`.
            unsafe { *self.shared.job.get() = Job::Call(entry, frame) };
            self.shared.gate.wait(threads);
        }
        // SAFETY: the caller's promise.
        unsafe { entry(frame, 0, i64::from(threads)) };
        self.shared.gate.wait(threads);
        drop(turn);
    }
}

fn work(shared: &Shared, tid: usize) {
    let threads = shared.threads as u32;
    loop {
        shared.gate.wait(threads);
        // SAFETY: the gate opened, so the caller has written the job and leaves it alone.
        match unsafe { *shared.job.get() } {
            // SAFETY: the caller of `run` promised that frame and function belong together.
            Job::Call(entry, frame) => unsafe { entry(frame, tid as i64, i64::from(threads)) },
            Job::Quit => return,
        }
        shared.gate.wait(threads);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        // SAFETY: nobody runs while the pool is being dropped, so all workers wait at the gate.
        unsafe { *self.shared.job.get() = Job::Quit };
        self.shared.gate.wait(self.shared.threads as u32);
        for worker in self.workers.drain(..) {
            // A worker has nothing to report; generated code does not panic.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Every thread counts, meets, checks that all have counted, meets, and so on.
    unsafe extern "C" fn count(frame: *const u64, tid: i64, threads: i64) {
        let (counter, barrier, rounds) =
            unsafe { (&*(*frame as *const AtomicU64), *frame.add(1) as *mut u8, *frame.add(2)) };
        for round in 1..=rounds {
            counter.fetch_add(1, Ordering::Relaxed);
            unsafe { crate::seqc_barrier(barrier, tid, threads) };
            assert_eq!(counter.load(Ordering::Relaxed), round * threads as u64);
            unsafe { crate::seqc_barrier(barrier, tid, threads) };
        }
    }

    fn meet(threads: usize, rounds: u64) {
        let pool = Pool::new(threads).expect("threads");
        for _ in 0..3 {
            let counter = AtomicU64::new(0);
            let frame = [&raw const counter as u64, pool.barrier() as u64, rounds];
            // SAFETY: the frame is what `count` reads.
            unsafe { pool.run(count, frame.as_ptr()) };
            assert_eq!(counter.load(Ordering::Relaxed), rounds * threads as u64);
        }
    }

    #[test]
    fn threads_meet() {
        meet(1, 1000);
        meet(2, 5000);
    }

    #[test]
    fn more_threads_than_cores_meet() {
        meet(16, 200);
    }

    #[test]
    fn absurd_numbers_of_threads_are_refused() {
        assert!(Pool::new(MOST_THREADS + 1).is_err());
    }
}
