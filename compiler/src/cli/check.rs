//! `seqc check` and `seqc fmt`.

use super::session::{ModelArgs, OK, Session, WRONG};
use crate::{
    diag::{Diagnostic, Placed},
    effective, import,
    library::Library,
    model::{self, weights::distinct_parameters},
};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Models and families (YAML) and layer files (.seq); `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print the model with the values of all sizes and settings
    #[arg(long)]
    print_effective: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// Layer files (.seq); `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Do not write files; exit with status 1 if the format of a file differs
    #[arg(long)]
    check: bool,
}

pub(crate) fn check(session: &mut Session, args: &CheckArgs) -> u8 {
    let mut status = OK;
    for path in &args.files {
        let one = if path.extension().is_some_and(|e| e == "seq") {
            check_layers(session, path)
        } else if path.is_file() && model::text_of(path).is_ok_and(|text| import::is_family(&text)) {
            check_family(session, path)
        } else {
            check_model(session, path, args)
        };
        status = status.max(one);
    }
    status
}

fn check_layers(session: &mut Session, path: &std::path::Path) -> u8 {
    let text = match model::text_of(path) {
        Ok(text) => text,
        Err(d) => return session.report(&[d]),
    };
    let id = session.sources.add(path.display().to_string(), text.clone());
    let mut diagnostics = Vec::new();
    model::add_definitions(&mut Library::default(), id, &text, &mut diagnostics);
    if diagnostics.is_empty() {
        OK
    } else {
        session.report(&diagnostics)
    }
}

fn check_family(session: &mut Session, path: &std::path::Path) -> u8 {
    match import::check_family(path, &mut session.sources) {
        Ok(name) => {
            session.say(&format!("{}: ok: the family {name}", path.display()));
            OK
        }
        Err(diagnostics) => session.report(&diagnostics),
    }
}

fn check_model(session: &mut Session, path: &std::path::Path, args: &CheckArgs) -> u8 {
    let built = match session.model(path, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    session.warn(&built);
    if args.print_effective {
        return session.print(&effective::effective(&built));
    }
    if session.talks() {
        let (layers, (parameters, _)) = (built.model.calls.len(), distinct_parameters(&built.model));
        let name = match args.files.len() {
            1 => String::new(),
            _ => format!("{}: ", path.display()),
        };
        let s = if layers == 1 { "" } else { "s" };
        session.say(&format!(
            "{name}ok: {layers} layer{s}, {} parameters",
            counted(parameters)
        ));
    }
    OK
}

/// A large number, abbreviated: `0.28 M`.
fn counted(n: usize) -> String {
    let n = n as f64;
    match n {
        _ if n < 1e3 => format!("{n}"),
        _ if n < 1e5 => format!("{:.1} k", n / 1e3),
        _ if n < 1e9 => format!("{:.2} M", n / 1e6),
        _ => format!("{:.2} G", n / 1e9),
    }
}

pub(crate) fn fmt(session: &mut Session, args: &FmtArgs) -> u8 {
    let mut status = OK;
    for path in &args.files {
        status = status.max(fmt_file(session, path, args.check));
    }
    status
}

fn fmt_file(session: &mut Session, path: &std::path::Path, check: bool) -> u8 {
    if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
        let message = format!("{} is a model, a layer file is expected", path.display());
        let d = Diagnostic::bare("layer-file", message);
        return session.report(&[d.help("`seqc fmt` lays out files that end in `.seq`")]);
    }
    let text = match model::text_of(path) {
        Ok(text) => text,
        Err(d) => return session.report(&[d]),
    };
    let id = session.sources.add(path.display().to_string(), text.clone());
    let mut diagnostics = Vec::new();
    model::add_definitions(&mut Library::default(), id, &text, &mut diagnostics);
    if !diagnostics.is_empty() {
        return session.report(&diagnostics);
    }
    let laid_out = seqc_grammar::format_file(&text);
    if check {
        if laid_out == text {
            return OK;
        }
        session.say(&format!(
            "{} is laid out differently: `seqc fmt` changes it",
            path.display()
        ));
        return WRONG;
    }
    if path == std::path::Path::new("-") {
        return session.print(&laid_out);
    }
    if laid_out == text {
        return OK;
    }
    // The file is its own input: it is replaced once the new one is whole.
    session.write(path, &[], laid_out.as_bytes())
}
