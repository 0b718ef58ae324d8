//! What verbs share: exit statuses, options, the sources read so far, and how to speak.

use crate::{
    diag::{Diagnostic, Placed},
    import,
    model::{Built, ReadOptions, WeightsFrom},
    pages, render,
    source::Sources,
};
use clap::{Args, ValueEnum};
use seqc_checkpoint::output;
use seqc_ir::Activations;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

/// Everything went well.
pub const OK: u8 = 0;

/// The input is wrong, or a check found problems.
pub const WRONG: u8 = 1;

/// Wrong usage, or a failure of the tool.
pub const FAILED: u8 = 2;

/// Most messages that are written at once.
const MAX_MESSAGES: usize = 100;

/// Options of every verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// When to colour messages
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    color: When,
    /// Format of diagnostics
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    message_format: Format,
    /// Print less to standard error
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print more to standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
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
    /// Use another checkpoint than the model's; `none`: no checkpoint
    #[arg(long, value_name = "PATH")]
    weights: Option<PathBuf>,
    /// Round what products with stored weights read: `bf16` with weights of bf16, `int8` with weights in blocks, `auto` with both. The
    /// model's `activations`, which are `f32` unless it says otherwise
    #[arg(long, value_name = "TYPE", value_parser = activations)]
    activations: Option<Activations>,
}

fn activations(name: &str) -> Result<Activations, String> {
    let known = || Activations::ALL.map(Activations::name).join(", ");
    Activations::named(name).ok_or_else(|| format!("the types are {}", known()))
}

/// State shared by all commands: the sources read so far, and the options for messages.
pub(crate) struct Session {
    pub(crate) sources: Sources,
    pub(crate) global: Global,
    told: RefCell<Told>,
}

/// What has been reported so far.
#[derive(Default)]
struct Told {
    errors: usize,
    /// Code of the first error.
    code: &'static str,
    files: BTreeSet<String>,
}

impl Session {
    /// No sources yet, and nothing reported.
    pub(super) fn new(global: Global) -> Session {
        Session {
            sources: Sources::default(),
            global,
            told: RefCell::default(),
        }
    }

    /// Writes diagnostics to standard error; gives the exit status for them.
    pub(crate) fn report(&self, diagnostics: &[Diagnostic]) -> u8 {
        self.count(diagnostics);
        let mut err = std::io::stderr().lock();
        for d in diagnostics.iter().take(MAX_MESSAGES) {
            let text = match self.global.message_format {
                Format::Json => render::visible(&format!("{}\n", render::machine(d, &self.sources))).into_owned(),
                Format::Human => render::human(d, &self.sources, self.color()),
            };
            // Failures to write to standard error are ignored.
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

    fn count(&self, diagnostics: &[Diagnostic]) {
        let mut told = self.told.borrow_mut();
        for d in diagnostics.iter().filter(|d| d.is_error()) {
            if told.errors == 0 {
                told.code = d.code;
            }
            told.errors += 1;
            if let Some(place) = d.place() {
                told.files.insert(self.sources.path(place.file).to_owned());
            }
        }
    }

    /// How many errors there were, where there were several.
    pub(super) fn sum_up(&self) {
        let told = self.told.borrow();
        if told.errors < 2 || self.global.message_format == Format::Json {
            return;
        }
        let places = match told.files.len() {
            0 => String::new(),
            1 => " in 1 file".to_owned(),
            n => format!(" in {n} files"),
        };
        let (errors, code) = (told.errors, told.code);
        let more = pages::page(code).map_or(String::new(), |_| format!("; see `seqc help {code}`"));
        let _ = writeln!(std::io::stderr(), "{errors} errors{places}{more}");
    }

    /// Writes the warnings of a model to standard error.
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
        FAILED
    }

    /// Progress and remarks on standard error.
    pub(crate) fn say(&self, message: &str) {
        if !self.global.quiet {
            let _ = writeln!(std::io::stderr(), "{}", render::visible(message));
        }
    }

    /// Writes a file in one piece; gives the exit status. Inputs are never written over.
    pub(crate) fn write(&self, path: &Path, inputs: &[PathBuf], bytes: &[u8]) -> u8 {
        match output::write(path, inputs, bytes) {
            Ok(()) => OK,
            Err(e) => self.fail("write", e),
        }
    }

    /// Whether a file that may have been edited can be written: it does not exist, or contains `new` already, or it may be
    /// replaced. Otherwise the exit status.
    pub(crate) fn may_replace(
        &self,
        path: &Path,
        inputs: &[PathBuf],
        new: Option<&[u8]>,
        force: bool,
    ) -> Result<(), u8> {
        if let Err(e) = output::check(path, inputs) {
            return Err(self.fail("write", e));
        }
        let stands = path != Path::new("-") && path.is_file();
        let same = || new.is_some_and(|new| std::fs::read(path).is_ok_and(|old| old == new));
        if stands && !force && !same() {
            return Err(self.fail("file-exists", format!("{}: this file exists already", path.display())));
        }
        Ok(())
    }

    /// Whether success is reported, too.
    pub(crate) fn talks(&self) -> bool {
        self.global.verbose > 0 || std::io::stderr().is_terminal()
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
        self.print_bytes(render::visible(text).as_bytes())
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
                return Err(self.fail("bad-set", format!("--set {item}: the form is path.to.key=value")));
            };
            set.push((key.to_owned(), value.to_owned()));
        }
        if let Some(activations) = args.activations {
            set.push(("activations".to_owned(), activations.name().to_owned()));
        }
        let weights = match &args.weights {
            None => WeightsFrom::Model,
            Some(path) if path.as_os_str() == "none" => WeightsFrom::Nowhere,
            Some(path) if path.exists() => WeightsFrom::File(path.clone()),
            Some(path) => {
                let message = format!("{}: no such file", path.display());
                let d = Diagnostic::bare("no-file", message);
                return Err(self.report(&[d.help("give an existing checkpoint, or `none` for no checkpoint")]));
            }
        };
        Ok(ReadOptions {
            set,
            weights,
            expected: None,
        })
    }

    /// Reads a model; on failure its problems are reported and the exit status given.
    pub(crate) fn model(&mut self, path: &std::path::Path, args: &ModelArgs) -> Result<Built, u8> {
        let options = self.read_options(args)?;
        import::read(path, &mut self.sources, &options).map_err(|d| self.report(&d))
    }
}
