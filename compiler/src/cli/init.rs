//! `seqc init`: random weights for a model, as a checkpoint.

use super::session::{ModelArgs, OK, Session};
use crate::{initial, model::Built};
use clap::Args;
use seqc_checkpoint::output::Output;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Seed of the random weights; default: that of the model, or 1
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The safetensors file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace an existing file; with `--weights none` also the weights that the model names
    #[arg(long)]
    force: bool,
}

pub(crate) fn init(session: &mut Session, args: &InitArgs) -> u8 {
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    let inputs = inputs(&built);
    if let Err(status) = session.may_replace(&args.output, &inputs, None, args.force) {
        return status;
    }
    let seed = args.seed.or(built.meta.random).unwrap_or(1);
    let written = Output::create(&args.output, &inputs)
        .map_err(|e| e.to_string())
        .and_then(|mut out| {
            let count = initial::write(&built.model, seed, &mut out)?;
            out.commit().map_err(|e| e.to_string())?;
            Ok(count)
        });
    match written {
        Ok(count) => {
            session.say(&format!("wrote {count} tensors to {}", args.output.display()));
            OK
        }
        Err(e) => session.fail("write", e),
    }
}

/// What must not be lost: the files of the model, but for weights that it names and that were not read, `--weights none`.
fn inputs(built: &Built) -> Vec<PathBuf> {
    let named = built
        .document
        .weights
        .as_ref()
        .and_then(|weights| weights.file.as_ref());
    let named = named.map(|file| built.meta.folder.join(&file.value));
    let unread = named.filter(|_| built.meta.weights.is_none());
    let inputs = built.inputs.iter().filter(|path| Some(*path) != unread.as_ref());
    inputs.cloned().collect()
}
