//! The command line: commands, their options, and exit statuses.

mod build;
mod caches;
mod check;
mod compare;
mod eval;
mod help;
mod import;
mod init;
mod inspect;
mod parameters;
mod policies;
mod progress;
mod quantise;
mod session;
mod tasks;
mod tools;

pub use session::{FAILED, OK, WRONG};

use crate::render;
use clap::{Parser, Subcommand};
use seqc_backends::scratch;
use session::{Global, Session};
use std::{borrow::Cow, ffi::OsString, io::Write};

/// Compiler for sequence models: from the computation of a layer at one token to a native program.
#[derive(Debug, Parser)]
#[command(
    name = "seqc",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check models and layer files and report all errors
    Check(check::CheckArgs),
    /// Format layer files
    Fmt(check::FmtArgs),
    /// Print the JSON Schema of model files
    Schema,
    /// Print parameters, streams and state of a model
    Inspect(inspect::InspectArgs),
    /// Print for every layer its recurrences, the forms considered, and the one chosen
    Explain(inspect::ExplainArgs),
    /// Compare the cost of models: parameters, operations, bytes, state, time
    Compare(compare::CompareArgs),
    /// Measure this machine, for `compare`
    Probe(compare::ProbeArgs),
    /// Write a model file for a checkpoint
    Import(import::ImportArgs),
    /// Write random weights for a model
    Init(init::InitArgs),
    /// Write the checkpoint of a model with smaller weights
    Quantise(quantise::QuantiseArgs),
    /// Compile a model
    Build(build::BuildArgs),
    /// Run a model in the reference evaluator, in double precision
    Eval(eval::EvalArgs),
    /// Write tasks that show what programs find in long texts
    Tasks(tasks::TasksArgs),
    /// Print a completion script for a shell
    Completions(tools::CompletionArgs),
    /// Print the system, the cores and the processor level of this machine
    Doctor(tools::DoctorArgs),
    /// Explain a command, or a message by its code
    Help(help::HelpArgs),
}

/// Runs a command line; gives the exit status.
pub fn run(args: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut session = Session::new(cli.global);
    if let Err(e) = scratch::end_on_signals() {
        session.say(&format!("temporary files will remain after a signal: {e}"));
    }
    let status = verb(&mut session, cli.verb);
    session.sum_up();
    status
}

/// What is wrong with a command line, or the help that it asked for.
fn usage(error: &clap::Error) -> u8 {
    let plain = error.to_string();
    // A closed pipe is no reason to complain.
    let _ = match render::visible(&plain) {
        // Words of the command line are repeated.
        Cow::Owned(escaped) => write!(std::io::stderr(), "{escaped}"),
        Cow::Borrowed(_) => error.print(),
    };
    if error.use_stderr() { FAILED } else { OK }
}

fn verb(session: &mut Session, verb: Verb) -> u8 {
    match verb {
        Verb::Check(args) => check::check(session, &args),
        Verb::Fmt(args) => check::fmt(session, &args),
        Verb::Schema => tools::schema(session),
        Verb::Inspect(args) => inspect::inspect(session, &args),
        Verb::Explain(args) => inspect::explain(session, &args),
        Verb::Compare(args) => compare::compare(session, &args),
        Verb::Probe(args) => compare::probe(session, &args),
        Verb::Import(args) => import::import(session, &args),
        Verb::Init(args) => init::init(session, &args),
        Verb::Quantise(args) => quantise::quantise(session, &args),
        Verb::Build(args) => build::build(session, &args),
        Verb::Eval(args) => eval::eval(session, &args),
        Verb::Tasks(args) => tasks::tasks(session, &args),
        Verb::Completions(args) => tools::completions::<Cli>(&args),
        Verb::Doctor(args) => tools::doctor(session, &args),
        Verb::Help(args) => help::help::<Cli>(session, &args),
    }
}
