//! `seqc build`: a model to a program, or to any stage on the way.

use super::{FAILED, ModelArgs, OK, Session};
use clap::{Args, ValueEnum};
use std::{path::PathBuf, time::Instant};

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Where the result goes; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to make
    #[arg(long, value_enum, default_value_t = Emit::Exe)]
    emit: Emit,
    /// Processor to generate code for
    #[arg(long, default_value = "native")]
    target: String,
    /// Say how long the stages took
    #[arg(long)]
    timing: bool,
    /// Write the graphs after a stage to standard error
    #[arg(long, value_name = "STAGE")]
    dump_ir: Option<String>,
}

/// What a build makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    Ast,
    Graph,
    Mlir,
    Llvm,
    Obj,
    Exe,
    Lib,
}

pub(crate) fn build(session: &mut Session, args: &BuildArgs) -> u8 {
    let start = Instant::now();
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    if args.timing {
        session.say(&format!("model {:.1} ms", start.elapsed().as_secs_f64() * 1e3));
    }
    let text = match args.emit {
        Emit::Graph => built.model.to_string(),
        Emit::Ast => format!("{:#?}\n", built.document),
        _ => return session.fail("backend", "this seqc was built without code generation"),
    };
    match &args.output {
        Some(path) if path != std::path::Path::new("-") => match std::fs::write(path, text) {
            Ok(()) => OK,
            Err(e) => {
                session.fail("write", format!("{}: {e}", path.display()));
                FAILED
            }
        },
        _ => session.print(&text),
    }
}
