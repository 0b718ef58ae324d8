//! `seqc build`: a model to a program, or to any stage in between.

use super::session::{ModelArgs, OK, Session};
use crate::{
    driver::{self, Product},
    request::{self, Emit, Failure, Request},
};
use clap::{Args, ValueEnum, builder::PossibleValue};
use seqc_abi::Family;
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Output file; the folder of a crate, a wheel or for browsers; `-` is standard output. Default: standard output for text, the current directory for
    /// programs
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to produce
    #[arg(long, value_enum, default_value_t = Emit::Exe)]
    emit: Emit,
    /// Replace an existing header with other content, write a crate or a module for browsers into a folder with other contents
    #[arg(long)]
    force: bool,
    /// What the names in the C interface of a library begin with, and its header is called: libraries with different
    /// prefixes can be linked into one program. The name of a crate or wheel. Default: `seqc` for libraries, the model's file for packages
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
    /// Processors to generate code for: `x86-64` (code for all levels, selected at startup), `aarch64-linux`, `wasm`,
    /// `cuda`, `x86-64-v3`, `x86-64-v4`, `armv8-a`, `native`, an LLVM name of a processor, or several of one kind separated by commas.
    /// Default: `wasm` for `--emit web`, `cuda` for `--emit ptx`, all levels of this machine's kind for programs and libraries, this machine for other outputs
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Embed weights and tokenizer in the program or library
    #[arg(long)]
    embed_weights: bool,
    /// Print the time of each stage
    #[arg(long)]
    timing: bool,
    /// Print the result of a stage to standard error
    #[arg(long, value_name = "STAGE")]
    dump_ir: Option<DumpStage>,
}

/// Not derived, since `--help` lists the names without the documentation of the variants.
impl ValueEnum for Emit {
    fn value_variants<'a>() -> &'a [Emit] {
        &[
            Emit::Ast,
            Emit::Graph,
            Emit::Canonical,
            Emit::Plan,
            Emit::Kernels,
            Emit::Mlir,
            Emit::Llvm,
            Emit::Asm,
            Emit::Ptx,
            Emit::Obj,
            Emit::Exe,
            Emit::Lib,
            Emit::Crate,
            Emit::Wheel,
            Emit::Web,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let name = match self {
            Emit::Ast => "ast",
            Emit::Graph => "graph",
            Emit::Canonical => "canonical",
            Emit::Plan => "plan",
            Emit::Kernels => "kernels",
            Emit::Mlir => "mlir",
            Emit::Llvm => "llvm",
            Emit::Asm => "asm",
            Emit::Ptx => "ptx",
            Emit::Obj => "obj",
            Emit::Exe => "exe",
            Emit::Lib => "lib",
            Emit::Crate => "crate",
            Emit::Wheel => "wheel",
            Emit::Web => "web",
        };
        Some(PossibleValue::new(name))
    }
}

/// Stages whose result has a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DumpStage {
    Model,
}

impl Emit {
    /// The processors by default.
    fn target(self) -> &'static str {
        match self {
            Emit::Exe | Emit::Lib | Emit::Crate | Emit::Wheel => Family::HERE.name(),
            Emit::Web => Family::Wasm.name(),
            Emit::Ptx => Family::Cuda.name(),
            Emit::Ast
            | Emit::Graph
            | Emit::Canonical
            | Emit::Plan
            | Emit::Kernels
            | Emit::Mlir
            | Emit::Llvm
            | Emit::Asm
            | Emit::Obj => "native",
        }
    }

    /// Whether the result is binary.
    fn is_code(self) -> bool {
        matches!(
            self,
            Emit::Obj | Emit::Exe | Emit::Lib | Emit::Crate | Emit::Wheel | Emit::Web
        )
    }

    /// The prefix by default: packages are named after their model.
    fn prefix(self, model: &Path) -> String {
        if !matches!(self, Emit::Crate | Emit::Wheel) {
            return "seqc".to_owned();
        }
        let stem = model.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let name: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => name,
            false => format!("model_{name}"),
        }
    }

    /// The output file by default.
    fn output(self, model: &Path, family: Family) -> PathBuf {
        let model = PathBuf::from(model.file_name().unwrap_or_default());
        match self {
            Emit::Ast
            | Emit::Graph
            | Emit::Canonical
            | Emit::Plan
            | Emit::Kernels
            | Emit::Mlir
            | Emit::Llvm
            | Emit::Asm
            | Emit::Ptx => PathBuf::from("-"),
            Emit::Obj => model.with_extension("o"),
            Emit::Exe => model.with_extension(family.extension()),
            Emit::Lib => {
                let stem = model.file_stem().unwrap_or_default().to_string_lossy();
                PathBuf::from(format!("lib{stem}.so"))
            }
            Emit::Crate => PathBuf::from(self.prefix(&model)),
            Emit::Wheel => PathBuf::from("."),
            Emit::Web => model.with_extension("web"),
        }
    }
}

pub(crate) fn build(session: &mut Session, args: &BuildArgs) -> u8 {
    let target = args.target.clone().unwrap_or_else(|| args.emit.target().to_owned());
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| args.emit.output(&args.file, request::family(&target)));
    let read = match session.read_options(&args.model) {
        Ok(read) => read,
        Err(status) => return status,
    };
    if args.embed_weights && !matches!(args.emit, Emit::Exe | Emit::Lib | Emit::Crate | Emit::Wheel) {
        let message = "--embed-weights requires --emit exe, lib, crate or wheel";
        return session.fail("usage", message);
    }
    let prefix = args.prefix.clone().unwrap_or_else(|| args.emit.prefix(&args.file));
    if !is_identifier(&prefix) {
        let message =
            format!("--prefix {prefix}: names in C consist of letters, digits and `_`, and begin with a letter");
        return session.fail("usage", &message);
    }
    if output == Path::new("-") && args.emit.is_code() && std::io::stdout().is_terminal() {
        return session.fail(
            "write",
            "binary output is not written to a terminal: give a file, `-o FILE`",
        );
    }
    let request = Request {
        embed: args.embed_weights,
        read,
        force: args.force,
        prefix,
        emit: args.emit,
        target,
        output,
    };
    let (timing, dump) = (args.timing || session.global.verbose > 0, args.dump_ir);
    let mut warnings = Vec::new();
    let mut watch = |stage: &str, time: std::time::Duration, built: Option<&crate::model::Built>| {
        if timing {
            eprintln!("{stage} {:.1} ms", time.as_secs_f64() * 1e3);
        }
        warnings.extend(built.map(crate::model::Built::warnings).unwrap_or_default());
        if let (Some(DumpStage::Model), Some(built)) = (dump, built) {
            eprintln!("{}", built.model);
        }
    };
    let result = driver::build(&args.file, &request, &mut session.sources, &mut watch);
    session.remark(&warnings);
    match result {
        Ok(product) => deliver(session, product, args.emit),
        Err(Failure::Input(diagnostics)) => session.report(&diagnostics),
        Err(Failure::Usage(message)) => session.fail("usage", message),
        Err(Failure::Stage(message)) => session.fail("backend", message),
        Err(Failure::Write(message)) => session.fail("write", message),
    }
}

/// Whether names in C can begin with this.
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reports the output file, or writes the result to standard output.
fn deliver(session: &Session, product: Product, emit: Emit) -> u8 {
    match product {
        Product::Written(path) => {
            if emit.is_code() && path != Path::new("-") {
                session.say(&format!("wrote {}", path.display()));
            }
            OK
        }
        Product::Text(text) => session.print(&text),
        Product::Bytes(bytes) => session.print_bytes(&bytes),
    }
}
