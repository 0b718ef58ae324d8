//! Objects to programs and shared libraries, with the linker that is installed.
//!
//! A program is the generated objects, the runtime archive and the C library that rustc ships. For the family of processors that the compiler
//! runs on, all but the objects are carried inside this crate, so that linking needs nothing but a linker.

mod cuda;
mod elf;
mod library;
mod runtime;
mod tools;
mod toolset;
mod wasm;

pub use library::{Library, Options, header, link_library};
pub use runtime::Runtime;
pub use tools::Error;

use crate::targets::{self, Format};
use seqc_abi::Family;
use std::path::Path;
use tools::{file, folder, run};
use toolset::Linker;

/// Links generated objects with the runtime of their family: the bytes of a program that needs no library.
///
/// # Errors
///
/// See [`Error`].
pub fn link_exe(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    match targets::family(runtime.family).format {
        Format::Elf => elf::program(objects, runtime),
        Format::Wasm => wasm::program(objects, runtime),
        Format::Ptx => cuda::program(objects, runtime),
    }
}

/// Links generated objects with the C interface of the runtime: the bytes of a module of WebAssembly whose functions are called from JavaScript.
///
/// # Errors
///
/// See [`Error`].
pub fn link_web(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    wasm::library(objects, runtime)
}

/// Whether libraries are linked for a family.
pub fn has_libraries(family: Family) -> bool {
    matches!(targets::family(family).format, Format::Elf | Format::Ptx)
}

/// Whether a family is that of browsers: its programs have no files inside.
pub fn is_of_browsers(family: Family) -> bool {
    targets::family(family).format == Format::Wasm
}

/// Links a generated object for this machine alone into a shared library at `output`. What it needs of the runtime
/// (see `seqc_abi::symbols::BARRIER`) stays undefined: the program that loads the library provides it.
///
/// # Errors
///
/// See [`Error`].
pub fn link_shared(object: &[u8], output: &Path) -> Result<(), Error> {
    let scratch = folder()?;
    let mut command = Linker::find(Family::HERE)?.command();
    command.args([
        "-shared",
        "--gc-sections",
        "--strip-all",
        "--build-id=none",
        "-z",
        "noexecstack",
    ]);
    if let Some(name) = output.file_name() {
        command.arg("-soname").arg(name);
    }
    command.arg("-o").arg(output).arg(file(&scratch, "model.o", object)?);
    run(command, &scratch)
}
