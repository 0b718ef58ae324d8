//! `seqc schema`, `seqc completions`, `seqc doctor`.

use super::session::{OK, Session};
use crate::{model::standard, schema};
use clap::{Args, CommandFactory};
use seqc_abi::{Family, Level};
use std::fmt::Write;

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn schema(session: &mut Session) -> u8 {
    let mut diagnostics = Vec::new();
    let library = standard::library(&mut session.sources, &mut diagnostics);
    if !diagnostics.is_empty() {
        return session.report(&diagnostics);
    }
    let text = serde_json::to_string_pretty(&schema::schema(&library)).unwrap_or_default();
    session.print(&format!("{text}\n"))
}

pub(crate) fn completions<C: CommandFactory>(args: &CompletionArgs) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "seqc", &mut text);
    // A closed pipe is no reason to complain.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &text);
    OK
}

pub(crate) fn doctor(session: &mut Session, args: &DoctorArgs) -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let level = Level::here().map(Level::name);
    let highest = Family::HERE.highest();
    let lacking = highest.lacking();
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        let found = serde_json::json!({
            "version": 1, "seqc": version, "os": std::env::consts::OS, "arch": std::env::consts::ARCH,
            "cores": cores, "level": level, "lacking": lacking,
        });
        return session.print(&format!("{found}\n"));
    }
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "seqc {version}");
    let _ = writeln!(
        out,
        "system: {} on {}, {cores} cores",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let _ = write!(out, "processor level: {}", level.unwrap_or("unsupported"));
    match lacking.as_slice() {
        [] => out.push('\n'),
        lacking => {
            let _ = writeln!(out, "; {} lacks {}", highest.name(), lacking.join(", "));
        }
    }
    session.print(&out)
}
