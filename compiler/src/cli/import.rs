//! `seqc import`: a checkpoint to a model file.

use super::{OK, Session};
use crate::import;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A directory with `config.json`, or a GGUF file
    checkpoint: PathBuf,
    /// The model file to write; `-` is standard output
    #[arg(short, long, value_name = "MODEL.yaml")]
    output: PathBuf,
}

pub(crate) fn import(session: &mut Session, args: &ImportArgs) -> u8 {
    let text = match import::import(&args.checkpoint, &args.output, &mut session.sources) {
        Ok(text) => text,
        Err(diagnostics) => return session.report(&diagnostics),
    };
    if args.output == Path::new("-") {
        return session.print(&text);
    }
    match std::fs::write(&args.output, text) {
        Ok(()) => {
            session.say(&format!("wrote {}", args.output.display()));
            OK
        }
        Err(e) => session.fail("write", format!("{}: {e}", args.output.display())),
    }
}
