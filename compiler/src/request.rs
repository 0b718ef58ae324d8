//! What a build is asked for, and how it fails.

use crate::{diag::Diagnostic, model::ReadOptions};
use seqc_abi::Family;
use seqc_backends::mlir::Target;
use std::path::PathBuf;

/// Where a build stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// The syntax of the model.
    Ast,
    /// The graphs and the calls between them.
    Graph,
    /// The same after the passes.
    Canonical,
    /// The plan of every kind of layer.
    Plan,
    /// Kernels as typed instructions.
    Kernels,
    /// Kernels before lowering.
    Mlir,
    /// Kernels as LLVM reads them.
    Llvm,
    /// The processor's instructions.
    Asm,
    /// The code of a GPU.
    Ptx,
    /// The object.
    Obj,
    /// A program.
    Exe,
    /// A library to embed.
    Lib,
    /// A crate for Rust.
    Crate,
    /// A wheel for Python.
    Wheel,
    /// A folder for browsers.
    Web,
}

/// What a build is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// How the model is read.
    pub read: ReadOptions,
    /// Where to stop.
    pub emit: Emit,
    /// The processors, as of [`Target::list`].
    pub target: String,
    /// Where the result goes; `-`: it is given back.
    pub output: PathBuf,
    /// Whether weights and tokenizer go inside the program.
    pub embed: bool,
    /// What the names in a library's C interface begin with; the name of a crate or wheel.
    pub prefix: String,
    /// Whether the header of a library may replace another one.
    pub force: bool,
}

impl Request {
    /// The family of the processors; that of this machine where they are not known.
    pub(crate) fn family(&self) -> Family {
        family(&self.target)
    }
}

/// The family of some processors, as of [`Target::list`]; that of this machine where they are not known.
pub(crate) fn family(names: &str) -> Family {
    let targets = Target::list(names).unwrap_or_default();
    targets.first().map_or(Family::HERE, Target::family)
}

/// Why nothing was made.
#[derive(Debug)]
pub enum Failure {
    /// The input is wrong.
    Input(Vec<Diagnostic>),
    /// What is asked for is not to be had, whatever the model is.
    Usage(String),
    /// A later stage failed.
    Stage(String),
    /// The result cannot be written, or would replace what must not be lost.
    Write(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure::Stage(message)
    }
}
