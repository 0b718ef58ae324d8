//! What is written for a library beside itself, so that other programs find it and link with it.

mod companion;
mod library;

use crate::request::{Emit, Failure, Request};
use companion::Companion;
use seqc_checkpoint::output;
use std::path::{Path, PathBuf};

/// The texts beside the result of a request.
pub(crate) fn companions(request: &Request) -> Vec<Companion> {
    match request.emit {
        Emit::Lib if request.output != Path::new("-") => library::companions(request),
        Emit::Ast
        | Emit::Graph
        | Emit::Canonical
        | Emit::Plan
        | Emit::Kernels
        | Emit::Mlir
        | Emit::Llvm
        | Emit::Asm
        | Emit::Obj
        | Emit::Exe
        | Emit::Lib => Vec::new(),
    }
}

/// The static library beside a shared one. There is none with files inside, which lie behind the code of a shared one.
pub(crate) fn archive(request: &Request) -> Option<PathBuf> {
    let beside = request.emit == Emit::Lib && request.output != Path::new("-") && !request.embed;
    beside.then(|| request.output.with_extension("a"))
}

/// Whether everything beside the result can be written, and replaces nothing that people wrote.
///
/// # Errors
///
/// The first file that cannot.
pub(crate) fn check(request: &Request, inputs: &[PathBuf]) -> Result<(), Failure> {
    let failed = |error: String| Err(Failure::Write(error));
    let texts = companions(request);
    let paths = texts.iter().map(|companion| companion.path.clone());
    for path in paths.chain(archive(request)) {
        output::check(&path, inputs).map_err(|error| Failure::Write(error.to_string()))?;
        if output::same_place(&path, &request.output) {
            let taken = "what belongs to the library is written here; give another file with -o";
            return failed(format!("{}: {taken}", path.display()));
        }
    }
    for Companion { path, text, .. } in texts.iter().filter(|companion| companion.guarded && !request.force) {
        if std::fs::read(path).is_ok_and(|found| found != text.as_bytes()) {
            return failed(format!(
                "{}: this is another header than that of the library; --force replaces it",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Writes what belongs beside a library.
///
/// # Errors
///
/// The first file that cannot be written.
pub(crate) fn write(request: &Request, inputs: &[PathBuf], static_library: &[u8]) -> Result<(), Failure> {
    let write = |path: &Path, bytes: &[u8]| {
        output::write(path, inputs, bytes).map_err(|error| Failure::Write(error.to_string()))
    };
    if let Some(path) = archive(request) {
        write(&path, static_library)?;
    }
    let texts = companions(request);
    texts
        .iter()
        .try_for_each(|companion| write(&companion.path, companion.text.as_bytes()))
}
