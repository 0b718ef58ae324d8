//! Libraries as other programs use them: with what is beside them so that they are found, or as packages for Rust and Python.

mod companion;
mod elf;
mod folder;
mod library;
mod rust;
mod template;
pub(crate) mod web;
mod wheel;

use crate::request::{Emit, Failure, Request};
use companion::Companion;
use seqc_backends::link::Library;
use seqc_checkpoint::{Bundle, output};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// What a library is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be linked with.
    Library,
    /// A crate for Rust.
    Crate,
    /// A wheel for Python.
    Wheel,
}

impl Kind {
    /// That of a request; `None`: it is not for a library.
    pub(crate) fn of(emit: Emit) -> Option<Kind> {
        match emit {
            Emit::Lib => Some(Kind::Library),
            Emit::Crate => Some(Kind::Crate),
            Emit::Wheel => Some(Kind::Wheel),
            Emit::Ast
            | Emit::Graph
            | Emit::Canonical
            | Emit::Plan
            | Emit::Kernels
            | Emit::Mlir
            | Emit::Llvm
            | Emit::Asm
            | Emit::Ptx
            | Emit::Obj
            | Emit::Exe
            | Emit::Web => None,
        }
    }
}

/// The texts of a package, or beside a library.
fn texts(kind: Kind, request: &Request) -> Vec<Companion> {
    match kind {
        Kind::Library if request.output == Path::new("-") => Vec::new(),
        Kind::Library => library::companions(request),
        Kind::Crate => rust::texts(request),
        Kind::Wheel => Vec::new(),
    }
}

/// Where the static library goes.
fn archive(kind: Kind, request: &Request) -> Option<PathBuf> {
    match kind {
        Kind::Library if request.output == Path::new("-") => None,
        Kind::Library => Some(request.output.with_extension("a")),
        Kind::Crate => Some(rust::archive(request)),
        Kind::Wheel => None,
    }
}

/// The most bytes of files inside a static library: code and data around them reach each other over two gigabytes.
const MOST_INSIDE: u64 = 3 << 29;

/// The files that a static library contains, as one; `None`: it contains none.
///
/// # Errors
///
/// Files that cannot be read, or are too large.
pub(crate) fn bundle(kind: Kind, inside: &[(String, PathBuf)]) -> Result<Option<NamedTempFile>, Failure> {
    if inside.is_empty() || kind == Kind::Wheel {
        return Ok(None);
    }
    let failed = |error: io::Error| Failure::Write(format!("the files to embed: {}", output::reason(&error)));
    let mut file = NamedTempFile::new().map_err(failed)?;
    Bundle::append(&mut file, 0, inside).map_err(failed)?;
    let bytes = file.as_file().metadata().map_err(failed)?.len();
    if bytes > MOST_INSIDE {
        return Err(Failure::Usage(format!(
            "--embed-weights: the files have {bytes} bytes, and static libraries contain at most {MOST_INSIDE}; a program or wheel contains any number"
        )));
    }
    Ok(Some(file))
}

/// Whether everything can be written, and replaces nothing that people wrote.
///
/// # Errors
///
/// The first file that cannot.
pub(crate) fn check(kind: Kind, request: &Request, inputs: &[PathBuf]) -> Result<(), Failure> {
    match kind {
        Kind::Library => check_beside(kind, request, inputs),
        Kind::Crate => rust::check(request),
        Kind::Wheel => wheel::check(request),
    }
}

fn check_beside(kind: Kind, request: &Request, inputs: &[PathBuf]) -> Result<(), Failure> {
    let refused = |error: output::Error| Failure::Write(error.to_string());
    let failed = |error: String| Err(Failure::Write(error));
    output::check(&request.output, inputs).map_err(refused)?;
    let texts = texts(kind, request);
    let paths = texts.iter().map(|companion| companion.path.clone());
    for path in paths.chain(archive(kind, request)) {
        output::check(&path, inputs).map_err(refused)?;
        if output::same_place(&path, &request.output) {
            let taken = "what belongs to the library is written here; give another file with -o";
            return failed(format!("{}: {taken}", path.display()));
        }
    }
    for Companion { path, text, .. } in texts.iter().filter(|companion| companion.guarded && !request.force) {
        if fs::read(path).is_ok_and(|found| found != text.as_bytes()) {
            return failed(format!(
                "{}: this is another header than that of the library; --force replaces it",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Writes what belongs to a library, but a shared one that is the result itself; gives the path of the result.
///
/// # Errors
///
/// The first file that cannot be written.
pub(crate) fn write(
    kind: Kind,
    request: &Request,
    inputs: &[PathBuf],
    library: &Library,
    inside: &[(String, PathBuf)],
) -> Result<PathBuf, Failure> {
    let write = |path: &Path, bytes: &[u8]| {
        let folder = path.parent().unwrap_or(Path::new(""));
        if kind == Kind::Crate {
            fs::create_dir_all(folder).map_err(|error| Failure::Write(format!("{}: {error}", folder.display())))?;
        }
        output::write(path, inputs, bytes).map_err(|error| Failure::Write(error.to_string()))
    };
    if let Some(path) = archive(kind, request) {
        write(&path, &library.archive)?;
    }
    for companion in texts(kind, request) {
        write(&companion.path, companion.text.as_bytes())?;
    }
    match kind {
        Kind::Library | Kind::Crate => Ok(request.output.clone()),
        Kind::Wheel => wheel::write(request, inputs, &library.shared, inside),
    }
}
