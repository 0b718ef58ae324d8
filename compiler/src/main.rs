//! The `seqc` command.

use std::process::ExitCode;

/// Stack of the thread that does the work: deep expressions are refused long before it ends.
const STACK: usize = 1 << 30;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("error: this is a bug in seqc: {info}");
        eprintln!("Please report it with the input files.");
    }));
    let work = std::thread::Builder::new().stack_size(STACK).spawn(|| {
        let args: Vec<_> = std::env::args_os().collect();
        seqc::cli::run(&args)
    });
    match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => ExitCode::from(code),
        // The hook has spoken.
        Ok(Err(_)) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: no thread can be started: {error}");
            ExitCode::from(2)
        }
    }
}
