//! The program around a model: reads the command line, runs a verb, reports errors.

mod args;
mod bar;
mod bench;
mod common;
mod generate;
mod info;
mod input;
mod output;
mod prompt;
mod run;
mod sampling;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, io::Write};

use clap::{CommandFactory, Parser};

use crate::{Error, Result, code::Code};
use args::{Verb, Words};

/// Version of every JSON that programs print.
pub(crate) const JSON_VERSION: u32 = 1;

/// Where a verb writes: its result, and what it has to say about the way there.
pub(crate) struct Console<'a> {
    /// Standard output.
    pub(crate) result: &'a mut dyn Write,
    /// Standard error.
    pub(crate) log: &'a mut dyn Write,
    /// 0: warnings, 1 and more: progress; -1: nothing.
    pub(crate) verbosity: i32,
}

impl Console<'_> {
    /// Prints a remark.
    pub(crate) fn warn(&mut self, message: impl std::fmt::Display) {
        self.say(0, "warning: ", &message);
    }

    /// Says what is being done, for those who asked.
    pub(crate) fn note(&mut self, message: impl std::fmt::Display) {
        self.say(1, "", &message);
    }

    fn say(&mut self, from: i32, start: &str, message: &dyn std::fmt::Display) {
        if self.verbosity >= from {
            // Failures to write to standard error are ignored.
            let _ = writeln!(self.log, "{start}{}", printable(&message.to_string()));
        }
    }
}

/// Runs a program with its arguments, the program's own name first, and returns its exit status.
pub fn run(code: Code, args: Vec<OsString>) -> i32 {
    // SAFETY: a closed pipe shall be an error of `write`, as in every Rust program; nothing else listens to the signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    run_on(code, args, &mut out, &mut err)
}

/// [`run`] with other ends for standard output and standard error.
pub(crate) fn run_on(code: Code, args: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let outcome = words(&code, args, out, err).and_then(|words| {
        let Some(words) = words else { return Ok(()) };
        let verbosity = if words.quiet { -1 } else { i32::from(words.verbose) };
        let mut console = Console {
            result: out,
            log: err,
            verbosity,
        };
        dispatch(code, words.verb, &mut console)?;
        console
            .result
            .flush()
            .map_err(|error| Error::write("standard output", &error))
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            if !matches!(error, Error::Closed | Error::Shown) {
                // Failures to write to standard error are ignored.
                let _ = writeln!(err, "error: {}", printable(&error.to_string()));
            }
            error.status()
        }
    }
}

/// The words of the command line; `None` when it asked for help, which is printed.
fn words(code: &Code, args: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Result<Option<Words>> {
    let plain = match Words::try_parse_from(&args) {
        Ok(words) => return Ok(Some(words)),
        Err(error) => error,
    };
    // Help describes the program, which other commands need not wait for.
    let described = code.describe().ok().and_then(|descriptor| {
        let about = format!("The model {}, compiled by seqc {}", descriptor.model, descriptor.tool);
        let version = format!("{} (seqc {})", descriptor.hash, descriptor.tool);
        let command = Words::command().about(about).version(&*version.leak());
        command.try_get_matches_from(args).err()
    });
    let error = described.unwrap_or(plain);
    if error.use_stderr() {
        let lines: Vec<String> = error.render().to_string().lines().map(printable).collect();
        // As above: an unread message changes nothing about the status.
        let _ = writeln!(err, "{}", lines.join("\n"));
        return Err(Error::Shown);
    }
    write!(out, "{}", error.render())
        .and_then(|()| out.flush())
        .map_err(|error| Error::write("standard output", &error))?;
    Ok(None)
}

fn dispatch(code: Code, verb: Verb, console: &mut Console) -> Result<()> {
    match verb {
        Verb::Info(args) => info::info(&code.describe()?, &args, console),
        Verb::Logits(args) => run::logits(code, &args, console),
        Verb::Run(args) => run::run(code, &args, console),
        Verb::Generate(args) => generate::generate(code, &args, console),
        Verb::Bench(args) => bench::bench(code, &args, console),
    }
}

/// A text from a file or a command line, with control characters of terminals escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Marks of the writing direction make a text look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(character.escape_unicode()),
            '\n' => out.push(character),
            _ if character.is_control() => out.extend(character.escape_default()),
            _ => out.push(character),
        }
    }
    out
}

/// Turns a panic, which is a bug, into a message and a failure: no program ends with status 101. While a file is read
/// by code of others, a panic is a bug of theirs that the file met, and the file is what the user can change.
pub fn install_panic_hook() {
    crate::generation::settle_panic_hook();
    std::panic::set_hook(Box::new(|panic| {
        let mut err = std::io::stderr();
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        // The process ends in any case.
        match crate::error::being_read() {
            Some(path) => {
                let _ = writeln!(err, "error: {}{place}", crate::error::damaged(&path));
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
