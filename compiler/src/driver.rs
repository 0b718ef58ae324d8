//! The pipeline: a model file to a program, or to any stage on the way.

use crate::{
    backend,
    diag::Diagnostic,
    model::{self, Built, ReadOptions},
    source::Sources,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where a build stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// The syntax of the model.
    Ast,
    /// The graphs and the calls between them.
    Graph,
    /// The same after the passes.
    Canonical,
    /// Kernels before lowering.
    Mlir,
    /// Kernels as LLVM reads them.
    Llvm,
    /// The processor's instructions.
    Asm,
    /// The object.
    Obj,
    /// A program.
    Exe,
    /// A library to embed.
    Lib,
}

/// What a build is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// How the model is read.
    pub read: ReadOptions,
    /// Where to stop.
    pub emit: Emit,
    /// The processors, as of [`Target::list`](seqc_backends::mlir::Target::list).
    pub target: String,
    /// Where the result goes; code that needs a place of its own is written there.
    pub output: PathBuf,
    /// Whether weights and tokenizer go inside the program.
    pub embed: bool,
}

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Product {
    /// A text for people.
    Text(String),
    /// Bytes of a file.
    Bytes(Vec<u8>),
    /// A file that has been written.
    Written(PathBuf),
}

/// Why nothing was made.
#[derive(Debug)]
pub enum Failure {
    /// The input is wrong.
    Input(Vec<Diagnostic>),
    /// A later stage failed.
    Stage(String),
}

/// A stage that is over: its name, how long it took, and the model as text where it has one.
pub type Watch<'a> = dyn FnMut(&str, Duration, Option<&Built>) + 'a;

/// Builds a model; `watch` hears about every stage.
pub fn build(path: &Path, request: &Request, sources: &mut Sources, watch: &mut Watch<'_>) -> Result<Product, Failure> {
    let start = Instant::now();
    let built = model::read(path, sources, &request.read).map_err(Failure::Input)?;
    watch("model", start.elapsed(), Some(&built));
    match request.emit {
        Emit::Ast => return Ok(Product::Text(format!("{:#?}\n", built.document))),
        Emit::Graph => return Ok(Product::Text(built.model.to_string())),
        Emit::Canonical => return Ok(Product::Text(backend::canonical(&built.model).to_string())),
        Emit::Mlir | Emit::Llvm | Emit::Asm | Emit::Obj | Emit::Exe | Emit::Lib => {}
    }
    let start = Instant::now();
    let product = backend::code(&built, request).map_err(Failure::Stage)?;
    watch("code", start.elapsed(), None);
    Ok(product)
}
