//! The process that runs cases, one after another, and says what it is doing on its standard output.
//!
//! A line is `start N`, `end N WORD` or `wrong N MESSAGE`. The process may die at any case: the one that started it goes on
//! behind that case with another one.

use crate::target::Target;
use seqc_ir::random::Rng;
use std::{
    fs,
    io::Write,
    panic,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// Bytes of address space of a worker: LLVM, a stack as large as the command's, and what a case may take.
pub(crate) const MEMORY: u64 = 8 << 30;

/// Seconds of processor time that a case may take; in an unoptimised build everything takes some ten times longer.
pub(crate) const SECONDS: u64 = if cfg!(debug_assertions) { 120 } else { 20 };

/// Stack of the thread that runs the cases: that of the `seqc` command.
const STACK: usize = 1 << 30;

/// The source of random numbers of a case.
fn numbers(seed: u64, case: u64) -> Rng {
    Rng::new(Rng::new(seed).bits() ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Runs cases from number `first` on until the reader is gone. Each has a directory of its own below `dir`, named by its
/// number, which the reader removes: it may receive a result while a later case runs.
pub(crate) fn run(target: &'static Target, seed: u64, first: u64, dir: PathBuf) -> ExitCode {
    limit_memory();
    thread::spawn(watch_time);
    panic::set_hook(Box::new(|_| {}));
    let work = move || {
        for number in first.. {
            let dir = dir.join(number.to_string());
            if !say(&format!("start {number}")) || clean(&dir).is_err() {
                break;
            }
            STARTED.store(processor_seconds(), Ordering::Relaxed);
            let line = one(target, &mut numbers(seed, number), number, &dir);
            if !say(&line) {
                break;
            }
        }
    };
    match thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .map(thread::JoinHandle::join)
    {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

/// Runs a case and gives the line about it.
fn one(target: &Target, rng: &mut Rng, number: u64, dir: &Path) -> String {
    let ended = panic::catch_unwind(panic::AssertUnwindSafe(|| (target.case)(rng, dir)));
    match ended {
        Ok(Ok(word)) => format!("end {number} {word}"),
        Ok(Err(message)) => format!("wrong {number} {}", message.replace('\n', "\\n")),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            let text = text.unwrap_or_else(|| "a panic".to_owned());
            format!("wrong {number} panic: {}", text.replace('\n', "\\n"))
        }
    }
}

fn clean(dir: &Path) -> std::io::Result<()> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)
}

/// False when the reader is gone.
fn say(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Processor time at the start of the case at hand.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Ends the process when a case takes too long; whoever listens sees which one.
fn watch_time() {
    loop {
        thread::sleep(Duration::from_millis(500));
        if processor_seconds().saturating_sub(STARTED.load(Ordering::Relaxed)) > SECONDS {
            std::process::exit(3);
        }
    }
}

/// Whole seconds of processor time that this process has taken: what other processes do does not count.
fn processor_seconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live structure of the right type.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec.max(0) as u64
}

fn limit_memory() {
    let limit = libc::rlimit {
        rlim_cur: MEMORY,
        rlim_max: MEMORY,
    };
    // SAFETY: the pointer is to a live structure of the right type.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
}
