//! Threads that find out which tokens may come next, beside those that run the model.
//!
//! A few threads take what there is to do in the order in which it came. One whose work turns out to be slow gives its
//! place to another, so that work that is quick never waits for slow work: see [`Workers::set_aside`].

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{lost, thread::Thread};

/// Threads that are not set aside.
const QUICK: usize = 2;
/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce(&Arc<Worker>) + Send>;

/// One of the threads.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) thread: Thread,
    aside: AtomicBool,
}

/// The threads, which end with it.
pub(super) struct Workers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Threads that are not set aside, and how many of them have nothing to do.
    quick: usize,
    idle: usize,
    closing: bool,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

impl Workers {
    /// No threads yet.
    pub(super) fn new() -> Workers {
        Workers {
            shared: Arc::default(),
            threads: Mutex::default(),
        }
    }

    /// Lets a thread do this, as soon as one is free.
    pub(super) fn submit(&self, work: Work) {
        let mut state = self.shared.lock();
        state.waiting.push_back(work);
        self.wake(state);
    }

    /// Lets a thread of its own do this, which is slow, where others leave a processor free.
    pub(super) fn submit_aside(&self, work: Work) {
        // Without a further thread it is done as other work is.
        let work = Arc::new(Mutex::new(Some(work)));
        let shared = Arc::clone(&work);
        let aside = move || {
            let work = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(work) = work {
                let worker = Arc::new(Worker::current(true));
                worker.thread.yield_to_others();
                work(&worker);
            }
        };
        match std::thread::Builder::new().name("grammar".to_owned()).spawn(aside) {
            Ok(thread) => self.keep(thread),
            Err(_) => {
                let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
                work.into_iter().for_each(|work| self.submit(work));
            }
        }
    }

    /// A thread that is waited for at the end.
    fn keep(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// The work of this thread is slow: another one does what waits. The caller knows that the thread is still at its work.
    pub(super) fn set_aside(&self, worker: &Worker) {
        if worker.aside.swap(true, Relaxed) {
            return;
        }
        worker.thread.yield_to_others();
        let mut state = self.shared.lock();
        state.quick -= 1;
        self.wake(state);
    }

    /// Gets a thread for what waits, if there may be another one.
    fn wake(&self, mut state: MutexGuard<State>) {
        if state.waiting.is_empty() {
            return;
        }
        if state.idle >= state.waiting.len() || state.quick >= QUICK {
            self.shared.changed.notify_one();
            return;
        }
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new()
            .name("grammar".to_owned())
            .spawn(move || shared.work());
        match spawned {
            Ok(thread) => {
                state.quick += 1;
                drop(state);
                self.keep(thread);
            }
            // The system gives no further thread: one that is there does it, or the caller.
            Err(_) if state.quick > 0 => self.shared.changed.notify_one(),
            Err(_) => {
                let work = state.waiting.pop_front();
                drop(state);
                if let Some(work) = work {
                    work(&Arc::new(Worker::current(false)));
                }
            }
        }
    }
}

impl Worker {
    /// This thread, which is set aside or not.
    fn current(aside: bool) -> Worker {
        Worker {
            thread: Thread::current(),
            aside: AtomicBool::new(aside),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does: all that waits, until there was nothing for long or it was set aside.
    fn work(&self) {
        let worker = Arc::new(Worker::current(false));
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                work(&worker);
                state = self.lock();
                if worker.aside.load(Relaxed) {
                    return;
                }
            } else if state.closing {
                return;
            } else {
                state.idle += 1;
                let waited = self.changed.wait_timeout(state, IDLE);
                let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = after;
                state.idle -= 1;
                if timeout.timed_out() && state.waiting.is_empty() {
                    state.quick -= 1;
                    return;
                }
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..).filter(|_| lost::none()) {
            // One that panicked has ended too.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn quick_work_does_not_wait_for_slow_work_that_was_set_aside() {
        let workers = Workers::new();
        let (begun, begins) = mpsc::channel();
        let (done, ends) = mpsc::channel();
        let mut ways_out = Vec::new();
        for _ in 0..3 * QUICK {
            let (way_out, closed) = mpsc::channel::<()>();
            ways_out.push(way_out);
            let begun = begun.clone();
            workers.submit(Box::new(move |worker| {
                begun.send(Arc::clone(worker)).expect("the test");
                // The loss of the sender ends it.
                let _ = closed.recv();
            }));
        }
        // All of them run only because those before are set aside.
        for _ in 0..3 * QUICK {
            workers.set_aside(&begins.recv().expect("it begins"));
        }
        workers.submit(Box::new(move |_| done.send(7).expect("the test")));
        assert_eq!(ends.recv(), Ok(7));
        drop(ways_out);
        let shared = Arc::clone(&workers.shared);
        drop(workers);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
