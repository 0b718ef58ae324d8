//! A computation with limits on memory and time, for code of others on contents of strangers.
//!
//! Running out of memory ends a process, so that the computation gets a process of its own.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::FromRawFd,
};

/// Memory beyond what the process has already.
const MEMORY: u64 = 256 << 20;
/// Seconds.
const TIME: u64 = 10;
/// Bytes of a result.
const LONGEST: u64 = 16 << 20;
/// Before a result and before an error.
const GOOD: u8 = b'+';
const BAD: u8 = b'-';

/// Runs `compute` in a copy of this process. Errors are messages.
///
/// Other threads do not exist in the copy: none may be needed.
pub(crate) fn bounded(compute: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    let failed = |what: &str| Err(format!("{what}: {}", std::io::Error::last_os_error()));
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return failed("no pipe");
    }
    // SAFETY: both descriptors are fresh and nobody else's.
    let (from, mut to) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    // SAFETY: the copy only computes, writes to the pipe and ends at once.
    match unsafe { libc::fork() } {
        -1 => failed("no process"),
        0 => {
            limit();
            let (sign, text) = compute().map_or_else(|error| (BAD, error), |text| (GOOD, text));
            let written = to.write_all(&[sign]).and_then(|()| to.write_all(text.as_bytes()));
            // SAFETY: ends the copy without running what was registered for the end of the original.
            unsafe { libc::_exit(i32::from(written.is_err())) }
        }
        child => {
            drop(to);
            let mut answer = Vec::new();
            let read = (&from).take(LONGEST + 1).read_to_end(&mut answer);
            // A copy that still writes meets a closed pipe.
            drop(from);
            let mut status = 0;
            // SAFETY: the child is ours, and the status can be written.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            let whole = read.is_ok() && answer.len() as u64 <= LONGEST && waited == child && status == 0;
            let said = whole.then(|| result(answer)).flatten();
            said.unwrap_or_else(|| Err("it takes too much memory or time".to_owned()))
        }
    }
}

/// What a whole answer says.
fn result(mut answer: Vec<u8>) -> Option<Result<String, String>> {
    let sign = *answer.first()?;
    let text = String::from_utf8(answer.split_off(1)).ok()?;
    Some(if sign == GOOD { Ok(text) } else { Err(text) })
}

/// Limits this process, and silences what the system says when it ends.
fn limit() {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    let memory = pages.unwrap_or(0).saturating_mul(4096).saturating_add(MEMORY);
    let set = |which, most: u64| {
        let limit = libc::rlimit {
            rlim_cur: most,
            rlim_max: most,
        };
        // SAFETY: the structure lives through the call. A lower limit that is set already stays.
        unsafe { libc::setrlimit(which, &raw const limit) }
    };
    set(libc::RLIMIT_AS, memory);
    set(libc::RLIMIT_CPU, TIME);
    set(libc::RLIMIT_CORE, 0);
    // SAFETY: plain system calls on descriptors of this process.
    unsafe {
        let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
        if nothing >= 0 {
            libc::dup2(nothing, 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_errors_come_back() {
        assert_eq!(bounded(|| Ok("fine".to_owned())), Ok("fine".to_owned()));
        assert_eq!(bounded(|| Err("wrong".to_owned())), Err("wrong".to_owned()));
        let long = "x".repeat(1 << 20);
        assert_eq!(bounded(|| Ok(long.clone())), Ok(long.clone()));
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(bounded(|| Ok("x".repeat(1 << 33))).is_err());
        assert!(bounded(|| Ok("x".repeat(LONGEST as usize + 1))).is_err());
        assert!(bounded(|| std::process::abort()).is_err());
    }
}
