//! Threads on which the parser of grammars panics.
//!
//! A panic is a bug of the parser that some grammar met, and must end that grammar's answer alone. Where panics unwind, they are
//! caught. Where they end the program, the thread stops for good before they do: what it holds is lost, and who waits for it is
//! told.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

type Tell = Box<dyn FnOnce()>;

thread_local! {
    /// Tells those who wait for this thread that it is lost.
    static TELL: RefCell<Option<Tell>> = const { RefCell::new(None) };
}

/// Whether a thread has stopped for good.
static ANY: AtomicBool = AtomicBool::new(false);

/// What is said of a grammar on which the parser panics.
pub(super) const SAID: &str = "the parser of grammars failed on it";

/// Does something that may panic; where it does, that is told once, and perhaps the thread goes no further.
pub(super) fn guarded(work: impl FnOnce(), tell: impl FnOnce() + Clone + 'static) {
    let told = tell.clone();
    TELL.with_borrow_mut(|place| *place = Some(Box::new(tell)));
    let done = catch_unwind(AssertUnwindSafe(work));
    TELL.with_borrow_mut(Option::take);
    if done.is_err() {
        told();
    }
}

/// Whether threads can be waited for: none has stopped for good.
pub(super) fn none() -> bool {
    !ANY.load(Relaxed)
}

/// For the panic hook of programs: stops this thread for good if it works for a grammar, and says that.
pub(crate) fn stop_thread_of_grammar(say: impl FnOnce()) {
    if let Some(tell) = TELL.with_borrow_mut(Option::take) {
        say();
        ANY.store(true, Relaxed);
        tell();
        loop {
            std::thread::park();
        }
    }
}
