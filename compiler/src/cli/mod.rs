//! The command line: verbs, their options, and exit statuses.

mod build;
mod check;
mod compare;
mod eval;
mod import;
mod init;
mod inspect;
mod parameters;
mod progress;
mod tools;

use crate::{
    diag::{Diagnostic, Placed},
    model::{self, Built, ReadOptions},
    render,
    source::Sources,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use seqc_backends::scratch;
use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::PathBuf,
};

/// Everything went well.
pub const OK: u8 = 0;
/// The input is wrong, or a check found problems.
pub const WRONG: u8 = 1;
/// Wrong usage, or a failure of the tool.
pub const FAILED: u8 = 2;

/// Most messages that are written at once.
const MAX_MESSAGES: usize = 100;

/// Compiles sequence models: from what a layer computes for one token to a native program.
#[derive(Debug, Parser)]
#[command(name = "seqc", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Colours of messages
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    color: When,
    /// How diagnostics are written
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    message_format: Format,
    /// Less on standard error
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More on standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// How a model is read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ModelArgs {
    /// Override a value of the model: path.to.key=value
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A checkpoint instead of the model's
    #[arg(long, value_name = "PATH")]
    weights: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read models and layer files and report everything that is wrong
    Check(check::CheckArgs),
    /// Lay layer files out
    Fmt(check::FmtArgs),
    /// Print the JSON Schema of model files
    Schema,
    /// Print parameters, streams and state of a model
    Inspect(inspect::InspectArgs),
    /// Say for every layer what was recognised and chosen
    Explain(inspect::ExplainArgs),
    /// Say side by side what models cost: parameters, operations, bytes, state, time
    Compare(compare::CompareArgs),
    /// Measure this machine, for `compare`
    Probe(compare::ProbeArgs),
    /// Write a model for a checkpoint
    Import(import::ImportArgs),
    /// Write random weights for a model
    Init(init::InitArgs),
    /// Compile a model
    Build(build::BuildArgs),
    /// Compute a model with the reference evaluator in double precision
    Eval(eval::EvalArgs),
    /// Print a completion script for a shell
    Completions(tools::CompletionArgs),
    /// Print what this machine offers
    Doctor(tools::DoctorArgs),
}

/// What verbs share: the sources read so far, and how to speak.
pub(crate) struct Session {
    pub(crate) sources: Sources,
    pub(crate) global: Global,
}

/// Runs a command line; gives the exit status.
pub fn run(args: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() { FAILED } else { OK };
        }
    };
    let mut session = Session {
        sources: Sources::default(),
        global: cli.global,
    };
    if let Err(e) = scratch::end_on_signals() {
        session.say(&format!("a signal will leave temporary files behind: {e}"));
    }
    match cli.verb {
        Verb::Check(args) => check::check(&mut session, &args),
        Verb::Fmt(args) => check::fmt(&mut session, &args),
        Verb::Schema => tools::schema(&mut session),
        Verb::Inspect(args) => inspect::inspect(&mut session, &args),
        Verb::Explain(args) => inspect::explain(&mut session, &args),
        Verb::Compare(args) => compare::compare(&mut session, &args),
        Verb::Probe(args) => compare::probe(&mut session, &args),
        Verb::Import(args) => import::import(&mut session, &args),
        Verb::Init(args) => init::init(&mut session, &args),
        Verb::Build(args) => build::build(&mut session, &args),
        Verb::Eval(args) => eval::eval(&mut session, &args),
        Verb::Completions(args) => tools::completions::<Cli>(&args),
        Verb::Doctor(args) => tools::doctor(&mut session, &args),
    }
}

impl Session {
    /// Writes diagnostics to standard error; gives the exit status for them.
    pub(crate) fn report(&self, diagnostics: &[Diagnostic]) -> u8 {
        let mut err = std::io::stderr().lock();
        for d in diagnostics.iter().take(MAX_MESSAGES) {
            let text = match self.global.message_format {
                Format::Json => format!("{}\n", render::machine(d, &self.sources)),
                Format::Human => render::human(d, &self.sources, self.color()),
            };
            // Nobody is left to tell when standard error is closed.
            let _ = err.write_all(text.as_bytes());
        }
        if let Some(more) = diagnostics.len().checked_sub(MAX_MESSAGES).filter(|n| *n > 0)
            && self.global.message_format == Format::Human
        {
            let _ = writeln!(err, "… and {more} more");
        }
        let internal = diagnostics.iter().any(|d| d.code == "internal");
        if internal { FAILED } else { WRONG }
    }

    /// Writes what is probably not meant to standard error.
    pub(crate) fn warn(&self, built: &Built) {
        self.remark(&built.warnings());
    }

    /// The same for warnings that were kept.
    pub(crate) fn remark(&self, warnings: &[Diagnostic]) {
        if !self.global.quiet {
            self.report(warnings);
        }
    }

    /// A failure that is in no text; gives the exit status for it.
    pub(crate) fn fail(&self, code: &'static str, message: impl ToString) -> u8 {
        self.report(&[Diagnostic::bare(code, message.to_string())]);
        if code == "eval" { WRONG } else { FAILED }
    }

    /// Progress and remarks on standard error.
    pub(crate) fn say(&self, message: &str) {
        if !self.global.quiet {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    fn color(&self) -> bool {
        match self.global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// Writes a result to standard output; a reader that has gone ends the program quietly.
    pub(crate) fn print(&self, text: &str) -> u8 {
        self.print_bytes(text.as_bytes())
    }

    /// The same for bytes.
    pub(crate) fn print_bytes(&self, bytes: &[u8]) -> u8 {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => OK,
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => OK,
            Err(e) => self.fail("write", e),
        }
    }

    /// How a model is to be read; the exit status where an option cannot be read.
    pub(crate) fn read_options(&self, args: &ModelArgs) -> Result<ReadOptions, u8> {
        let mut set = Vec::new();
        for item in &args.set {
            let Some((key, value)) = item.split_once('=') else {
                return Err(self.fail("bad-set", format!("--set {item}: write path.to.key=value")));
            };
            set.push((key.to_owned(), value.to_owned()));
        }
        Ok(ReadOptions {
            set,
            weights: args.weights.clone(),
        })
    }

    /// Reads a model; on failure its problems are reported and the exit status given.
    pub(crate) fn model(&mut self, path: &std::path::Path, args: &ModelArgs) -> Result<Built, u8> {
        let options = self.read_options(args)?;
        model::read(path, &mut self.sources, &options).map_err(|d| self.report(&d))
    }
}
