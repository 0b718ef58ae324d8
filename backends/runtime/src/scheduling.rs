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
