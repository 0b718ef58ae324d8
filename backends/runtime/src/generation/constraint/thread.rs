//! The time of a thread's processor, and who comes first.

use std::time::Duration;

/// A thread, as others see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thread {
    clock: libc::clockid_t,
    id: libc::pid_t,
}

impl Thread {
    /// The one that calls.
    pub(super) fn current() -> Thread {
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: the calls ask about the thread that makes them; the place lives through the call.
        unsafe {
            libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock);
            Thread {
                clock,
                id: libc::syscall(libc::SYS_gettid) as libc::pid_t,
            }
        }
    }

    /// The time that it had a processor; none of a thread that has ended.
    pub(super) fn used(self) -> Duration {
        // SAFETY: plain data, for which zeros are valid, and which lives through the call.
        unsafe {
            let mut time: libc::timespec = std::mem::zeroed();
            libc::clock_gettime(self.clock, &raw mut time);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        }
    }

    /// From now on it runs where others leave a processor free.
    pub(super) fn yield_to_others(self) {
        const LOWEST: libc::c_int = 19;
        let no_priority: libc::c_int = 0;
        // SAFETY: system calls; the number lives through the call. The C library of programs does not have the first one. Where
        // both are refused, others wait longer.
        unsafe {
            let idle = libc::SCHED_IDLE;
            if libc::syscall(libc::SYS_sched_setscheduler, self.id, idle, &raw const no_priority) != 0 {
                libc::setpriority(libc::PRIO_PROCESS as _, self.id as libc::id_t, LOWEST);
            }
        }
    }
}
