//! Limits on what code of others takes while it reads the contents of a file: memory, which the allocator counts, and
//! time, which the system does.
//!
//! A tokenizer of some hundred bytes can ask for any amount of both. A program that meets one says so and ends; nothing
//! is left behind, since outputs have no name before they are whole. Libraries read no such files.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

use crate::{Error, Result, being_read};

/// Seconds that anything may take.
const TIME: i64 = 10;
/// Memory that goes with one more second.
const PER_SECOND: usize = 64 << 20;
/// Whether this is a program of its own, which may end.
const PROGRAM: bool = cfg!(all(
    feature = "program",
    any(target_env = "musl", feature = "cuda"),
    not(test)
));

/// Bytes that may still be taken; counted only during [`limited`], when it is not [`UNLIMITED`].
static LEFT: AtomicI64 = AtomicI64::new(UNLIMITED);
const UNLIMITED: i64 = i64::MAX;

/// Whether limits hold.
static LIFTED: AtomicBool = AtomicBool::new(false);

/// Ends all limits: a server has read its files, and must not end for what a client sends, which is bounded otherwise.
#[cfg(feature = "server")]
pub(crate) fn lift() {
    LIFTED.store(true, Ordering::Relaxed);
}

/// Runs code of others on the contents of a file. Should it panic, the file is damaged: an error, or the end of the
/// program with the same message where panics cannot be caught (see `program::install_panic_hook`). It may take so
/// much memory, and time that goes with it (see [`limited`]).
pub(crate) fn reading<T>(path: &Path, memory: usize, read: impl FnOnce() -> T) -> Result<T> {
    being_read::set(Some(path));
    // What the code was about to change is given up with its result.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| limited(memory, read)));
    being_read::set(None);
    result.map_err(|_| Error::Input(being_read::damaged(&path.display().to_string())))
}

/// Runs code that may take `memory` bytes beyond what is taken already, and time that goes with them.
fn limited<T>(memory: usize, run: impl FnOnce() -> T) -> T {
    if !PROGRAM || LIFTED.load(Ordering::Relaxed) {
        return run();
    }
    let seconds = TIME.saturating_add((memory / PER_SECOND) as i64);
    LEFT.store(i64::try_from(memory).unwrap_or(UNLIMITED), Ordering::Relaxed);
    set_timer(seconds);
    let result = run();
    set_timer(0);
    LEFT.store(UNLIMITED, Ordering::Relaxed);
    result
}

/// Lets the system end the program after so many seconds of its time; 0: no more.
fn set_timer(seconds: i64) {
    // SAFETY: plain data, for which zeros are valid.
    let mut timer: libc::itimerval = unsafe { std::mem::zeroed() };
    timer.it_value.tv_sec = seconds as _;
    let handler: extern "C" fn(libc::c_int) = too_long;
    // SAFETY: the handler only calls what may be called from one; the structure lives through the call.
    unsafe {
        libc::signal(libc::SIGPROF, handler as *const () as libc::sighandler_t);
        libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut());
    }
}

extern "C" fn too_long(_: libc::c_int) {
    end("time");
}

/// Ends the program with a message, without memory and without waiting for anybody.
fn end(what: &str) -> ! {
    let say = |text: &str| {
        // SAFETY: the bytes live through the call. Failures to write to standard error are ignored.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    };
    say("error: ");
    being_read::say_name(say);
    say(": what is done with its contents takes too much ");
    say(what);
    say("; is it damaged, or made to do harm?\n");
    // SAFETY: ends the program at once.
    unsafe { libc::_exit(1) }
}

/// The allocator of programs: the system's, which counts while limits hold.
#[cfg(all(feature = "program", any(target_env = "musl", feature = "cuda"), not(test)))]
mod counting {
    use std::{
        alloc::{GlobalAlloc, Layout, System},
        sync::atomic::Ordering,
    };

    use super::{LEFT, UNLIMITED, end};

    struct Counting;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// Takes bytes from what is left, or gives them back.
    #[inline]
    fn count(bytes: i64) {
        if LEFT.load(Ordering::Relaxed) != UNLIMITED && LEFT.fetch_sub(bytes, Ordering::Relaxed) < bytes {
            LEFT.store(UNLIMITED, Ordering::Relaxed);
            end("memory");
        }
    }

    // SAFETY: everything is done by the system's allocator.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size() as i64);
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count(layout.size() as i64);
            // SAFETY: the caller's promise.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            count(-(layout.size() as i64));
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(at, layout) }
        }

        unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count(size as i64 - layout.size() as i64);
            // SAFETY: the caller's promise.
            unsafe { System.realloc(at, layout, size) }
        }
    }
}
