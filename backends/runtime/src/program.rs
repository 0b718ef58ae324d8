//! `main` of every emitted program, and what becomes of panics.

use std::io::Write;

use crate::being_read;

/// What the C library calls: `main` of every emitted program.
#[cfg(all(feature = "program", any(target_env = "musl", feature = "cuda"), not(test)))]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn main(argc: i32, argv: *const *const std::ffi::c_char) -> i32 {
    use std::{ffi::CStr, ffi::OsStr, os::unix::ffi::OsStrExt};
    let word = |i: usize| {
        // SAFETY: the C library passes `argc` strings that live as long as the process.
        let text = unsafe { CStr::from_ptr(*argv.add(i)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    let args = (0..usize::try_from(argc).unwrap_or(0)).map(word).collect();
    run(args)
}

/// The same where words are asked of the host: what the C library of WASI calls.
#[cfg(all(feature = "program", target_os = "wasi", not(test)))]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn __main_void() -> i32 {
    run(std::env::args_os().collect())
}

/// The whole program.
#[cfg(all(
    feature = "program",
    any(target_env = "musl", target_os = "wasi", feature = "cuda"),
    not(test)
))]
fn run(args: Vec<std::ffi::OsString>) -> ! {
    install_panic_hook();
    let status = match crate::code::code() {
        Ok(code) => crate::cli::run(code, args),
        Err(error) => {
            eprintln!("error: {error}");
            error.status()
        }
    };
    std::process::exit(status)
}

/// Turns a panic, which is a bug, into a message and a failure: no program ends with status 101. A thread that works for a
/// grammar stops, and its answer fails. While a file is read
/// by code of others, a panic is a bug of theirs that the file met, and the file is what the user can change.
pub fn install_panic_hook() {
    crate::generation::settle_panic_hook();
    std::panic::set_hook(Box::new(|panic| {
        let mut err = std::io::stderr();
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        crate::generation::stop_thread_of_grammar(|| {
            let _ = writeln!(
                err,
                "warning: the parser of grammars failed{place}, and one answer with it"
            );
        });
        // The process ends in any case.
        match being_read::name() {
            Some(path) => {
                let _ = writeln!(err, "error: {}{place}", being_read::damaged(&path));
                std::process::exit(1)
            }
            None => {
                let _ = writeln!(
                    err,
                    "error: this is a bug of seqc, please report it: {}{place}",
                    panic.payload_as_str().unwrap_or("no message")
                );
                std::process::exit(2)
            }
        }
    }));
}
