//! What the system is asked about threads: to let them sleep, and whether others use their cores.

use std::sync::atomic::AtomicU32;

/// Sleeps while `word` is `value`; may return early.
pub(crate) fn sleep(word: &AtomicU32, value: u32) {
    // SAFETY: the word outlives the call; the kernel only reads it.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            value,
            std::ptr::null::<libc::timespec>(),
        );
    }
}

/// Ends the sleep of all on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: as for `sleep`.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            i32::MAX,
        );
    }
}

/// Whether more threads of all processes want to run at this moment than there are cores.
#[cfg(not(feature = "cuda"))]
pub(crate) fn contended() -> bool {
    // SAFETY: asks for a number.
    let cores = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    runnable(&load).is_some_and(|threads| threads > cores)
}

/// How many threads want to run, as `/proc/loadavg` says it: its fourth word is their number and that of all, `3/512`.
#[cfg(not(feature = "cuda"))]
fn runnable(load: &str) -> Option<i64> {
    let (runnable, _) = load.split_whitespace().nth(3)?.split_once('/')?;
    runnable.parse().ok()
}

/// How often the system took a core away from this process.
#[cfg(not(feature = "cuda"))]
pub(crate) fn interruptions() -> i64 {
    // SAFETY: the structure is plain data, and lives through the call.
    unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage.ru_nivcsw
    }
}

#[cfg(all(test, not(feature = "cuda")))]
mod tests {
    use super::runnable;

    #[test]
    fn the_fourth_word_of_the_load_has_the_threads_that_want_to_run() {
        assert_eq!(runnable("0.52 0.41 0.30 3/512 12345\n"), Some(3));
        assert_eq!(runnable("0.52 0.41"), None);
        assert_eq!(runnable(""), None);
    }
}
