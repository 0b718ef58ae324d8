//! `seqc import`: a checkpoint to a model file.

use super::session::{OK, Session};
use crate::import::{self, Request};
use clap::Args;
use seqc_checkpoint::Checkpoint;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A directory with `config.json`, or a GGUF file
    checkpoint: PathBuf,
    /// The model file to write; `-` is standard output
    #[arg(short, long, value_name = "MODEL.yaml")]
    output: PathBuf,
    /// A family file that maps the checkpoint to a model (docs/families.md)
    #[arg(long, value_name = "FILE.yaml")]
    family: Option<PathBuf>,
    /// Give all attentions a cache policy (docs/caches.md), NAME:setting=value,…, or a type, none:type=f16
    #[arg(long, value_name = "POLICY")]
    cache: Vec<String>,
    /// Replace an existing model file
    #[arg(long)]
    force: bool,
}

pub(crate) fn import(session: &mut Session, args: &ImportArgs) -> u8 {
    let request = Request {
        checkpoint: &args.checkpoint,
        output: &args.output,
        family: args.family.as_deref(),
        caches: &args.cache,
    };
    let progress = session.progress(format!("importing {}", args.checkpoint.display()));
    let imported = import::import(request, &mut session.sources);
    drop(progress);
    let (text, tokenizer) = match imported {
        Ok(imported) => {
            session.remark(&imported.warnings);
            (imported.text, imported.tokenizer)
        }
        Err(diagnostics) => return session.report(&diagnostics),
    };
    if args.output == Path::new("-") {
        return session.print(&text);
    }
    let mut inputs = vec![args.checkpoint.clone()];
    inputs.extend(
        Checkpoint::open(&args.checkpoint)
            .iter()
            .flat_map(|c| c.paths().to_vec()),
    );
    inputs.extend(args.family.clone());
    if args.checkpoint.ends_with("config.json") {
        inputs.extend(args.checkpoint.parent().map(Path::to_owned));
    }
    let converted = tokenizer.iter().map(|file| (&file.path, &file.bytes[..]));
    let files: Vec<(&PathBuf, &[u8])> = converted.chain([(&args.output, text.as_bytes())]).collect();
    for (path, bytes) in files.iter().rev() {
        if let Err(status) = session.may_replace(path, &inputs, Some(bytes), args.force) {
            return status;
        }
    }
    for (path, bytes) in files {
        let status = session.write(path, &inputs, bytes);
        if status != OK {
            return status;
        }
        session.say(&format!("wrote {}", path.display()));
    }
    OK
}
