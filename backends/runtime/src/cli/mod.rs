//! The program around a model: reads the command line, runs a verb, reports errors.

mod answering;
mod args;
#[cfg_attr(not(feature = "terminal"), path = "plain/bar.rs")]
mod bar;
mod bench;
#[cfg(feature = "program")]
mod chat;
mod common;
mod console;
mod embed;
mod generate;
mod info;
mod input;
mod output;
mod perplexity;
mod prompt;
mod propose;
mod run;
mod samples;
mod sampling;
#[cfg(feature = "server")]
mod serve;
mod setup;
mod source;
mod tasks;
mod template;
#[cfg(test)]
mod tests;
mod tokenize;

use std::{ffi::OsString, io::Write};

use clap::{CommandFactory, Parser};

use crate::{Error, Result, code::Code};
use args::{Verb, Words};
use console::{Console, printable};

/// Runs a program with its arguments, the program's own name first, and returns its exit status.
pub fn run(code: Code, args: Vec<OsString>) -> i32 {
    #[cfg(unix)]
    // SAFETY: a closed pipe shall be an error of `write`, as in every Rust program; nothing else listens to the signal.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN)
    };
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
        #[cfg(feature = "program")]
        Verb::Chat(args) => chat::chat(code, &args, console),
        #[cfg(feature = "server")]
        Verb::Serve(args) => serve::serve(code, &args, console),
        Verb::Bench(args) => bench::bench(code, &args, console),
        Verb::Perplexity(args) => perplexity::perplexity(code, &args, console),
        Verb::Tokenize(args) => tokenize::tokenize(&code.describe()?, &args, console),
        Verb::Embed(args) => embed::embed(code, &args, console),
        Verb::Tasks(args) => tasks::tasks(code, &args, console),
        Verb::Propose(args) => propose::propose(code, &args, console),
    }
}
