//! Threads that all run the same generated function on the same frame.

use std::{
    cell::UnsafeCell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use crate::{
    Barrier, Error, Result,
    barrier::Meetings,
    busy::Watch,
    code::Entry,
    scheduling::{sleep, wake},
    tiny::TinyAreZeros,
};

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
    turn: Mutex<Turn>,
}

#[derive(Debug)]
struct Turn {
    watch: Watch,
    /// Threads that take part, the caller's among them.
    awake: usize,
}

#[derive(Debug)]
struct Shared {
    threads: usize,
    /// Threads that take part: the others sleep until it is more than their number.
    awake: AtomicU32,
    /// Where workers wait for work and the caller for them.
    gate: Barrier,
    /// What generated code meets at.
    inner: Barrier,
    job: UnsafeCell<Job>,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Call(Entry, *const u64),
    /// So many take part from now on.
    Awake(usize),
    Quit,
}

// SAFETY: `job` is written only by the caller while all workers wait at the gate, and read only after it opened.
unsafe impl Sync for Shared {}
// SAFETY: the frame's pointers are used by workers only during a call, while the caller waits.
unsafe impl Send for Shared {}

impl Pool {
    /// Starts `threads - 1` threads; 0: one for each core. Where the number `adapts`, fewer of them
    /// generate tokens while other processes use the cores.
    ///
    /// # Errors
    ///
    /// Too many threads, or the system refuses.
    pub fn new(threads: usize, adapts: bool) -> Result<Pool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS),
            n => n,
        };
        if threads > MOST_THREADS {
            return Err(Error::Usage(format!(
                "{threads} threads are too many: at most {MOST_THREADS} can be asked for"
            )));
        }
        if cfg!(target_os = "wasi") && threads > 1 {
            return Err(Error::Usage(format!(
                "WebAssembly has one thread, {threads} were asked for: leave out --threads"
            )));
        }
        let shared = Arc::new(Shared {
            threads,
            awake: AtomicU32::new(threads as u32),
            gate: Barrier::new(threads),
            inner: Barrier::new(threads),
            job: UnsafeCell::new(Job::Quit),
        });
        let mut pool = Pool {
            shared,
            workers: Vec::new(),
            turn: Mutex::new(Turn {
                watch: Watch::new(threads, adapts),
                awake: threads,
            }),
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

    /// Whether other processes were seen on the cores while tokens were generated.
    pub(crate) fn busy(&self) -> bool {
        self.turn().watch.busy()
    }

    /// Calls `entry` on all threads, or on as many as are worth their meetings, and returns when all have returned.
    ///
    /// # Errors
    ///
    /// None: threads do not fail; the members of a device may.
    ///
    /// # Safety
    ///
    /// `frame` is what `entry` expects.
    pub unsafe fn run(&self, entry: Entry, frame: *const u64, meetings: Meetings) -> Result<()> {
        let mut turn = self.turn();
        let threads = turn.watch.reading(meetings);
        self.shared.set_awake(&mut turn, threads);
        // SAFETY: the caller's promise.
        unsafe { self.shared.call(&turn, entry, frame) };
        Ok(())
    }

    /// The same for a single token, on as many threads as are worth it.
    ///
    /// # Errors
    ///
    /// None, as of [`Pool::run`].
    ///
    /// # Safety
    ///
    /// `frame` is what `entry` expects.
    pub unsafe fn run_token(&self, entry: Entry, frame: *const u64) -> Result<()> {
        let mut turn = self.turn();
        let active = turn.watch.active();
        self.shared.set_awake(&mut turn, active);
        let from = Instant::now();
        // SAFETY: the caller's promise.
        unsafe { self.shared.call(&turn, entry, frame) };
        turn.watch.token(from);
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Calls `entry` on all threads that are awake.
    ///
    /// # Safety
    ///
    /// `frame` is what `entry` expects.
    unsafe fn call(&self, turn: &Turn, entry: Entry, frame: *const u64) {
        let threads = turn.awake as u32;
        self.hand_out(turn, Job::Call(entry, frame));
        // SAFETY: the caller's promise.
        unsafe { compute(entry, frame, 0, threads as usize) };
        self.gate.wait(threads);
    }

    /// Gives all workers that are awake something to do.
    fn hand_out(&self, turn: &Turn, job: Job) {
        if turn.awake > 1 {
            // SAFETY: whoever holds the turn is the only caller, and all workers wait at the gate or sleep.
            unsafe { *self.job.get() = job };
            self.gate.wait(turn.awake as u32);
        }
    }

    /// Lets so many threads take part.
    fn set_awake(&self, turn: &mut Turn, threads: usize) {
        if threads == turn.awake {
            return;
        }
        self.hand_out(turn, Job::Awake(threads));
        // All active threads are here, and none reads the number before the second barrier.
        if threads < turn.awake {
            self.awake.store(threads as u32, Ordering::Release);
        }
        self.gate.wait(turn.awake as u32);
        // Threads that wake up wait at the gate, where the new number holds.
        if threads > turn.awake {
            self.awake.store(threads as u32, Ordering::Release);
            wake(&self.awake);
        }
        turn.awake = threads;
    }

    /// Sleeps until the thread takes part again; gives how many do.
    fn sleep(&self, tid: usize) -> usize {
        loop {
            let awake = self.awake.load(Ordering::Acquire);
            if awake as usize > tid {
                return awake as usize;
            }
            sleep(&self.awake, awake);
        }
    }
}

/// Calls generated code as one of some threads.
///
/// # Safety
///
/// `frame` is what `entry` expects.
unsafe fn compute(entry: Entry, frame: *const u64, tid: usize, threads: usize) {
    let _zeros = TinyAreZeros::begin();
    // SAFETY: the caller's promise.
    unsafe { entry(frame, tid as i64, threads as i64) };
}

fn work(shared: &Shared, tid: usize) {
    let mut threads = shared.threads;
    loop {
        shared.gate.wait(threads as u32);
        // SAFETY: the gate opened, so the caller has written the job and leaves it alone.
        match unsafe { *shared.job.get() } {
            Job::Call(entry, frame) => {
                // SAFETY: the caller of `run` promised that frame and function belong together.
                unsafe { compute(entry, frame, tid, threads) };
                shared.gate.wait(threads as u32);
            }
            Job::Awake(now) => {
                shared.gate.wait(threads as u32);
                threads = if now > tid { now } else { shared.sleep(tid) };
            }
            Job::Quit => return,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        let turn = self.turn.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.shared.set_awake(turn, self.shared.threads);
        self.shared.hand_out(turn, Job::Quit);
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
        let pool = Pool::new(threads, false).expect("threads");
        for _ in 0..3 {
            let counter = AtomicU64::new(0);
            let frame = [&raw const counter as u64, pool.barrier() as u64, rounds];
            // SAFETY: the frame is what `count` reads.
            unsafe { pool.run(count, frame.as_ptr(), Meetings::Kernel) }.expect("threads do not fail");
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
    fn threads_sleep_and_take_part_again() {
        let pool = Pool::new(5, false).expect("threads");
        for awake in [5, 2, 1, 1, 3, 4, 1, 5, 2, 5, 1].repeat(20) {
            let counter = AtomicU64::new(0);
            let frame = [&raw const counter as u64, pool.barrier() as u64, 3];
            let mut turn = pool.turn();
            pool.shared.set_awake(&mut turn, awake);
            // SAFETY: the frame is what `count` reads.
            unsafe { pool.shared.call(&turn, count, frame.as_ptr()) };
            assert_eq!(counter.load(Ordering::Relaxed), 3 * awake as u64);
        }
    }

    #[test]
    fn absurd_numbers_of_threads_are_refused() {
        assert!(Pool::new(MOST_THREADS + 1, false).is_err());
    }
}
