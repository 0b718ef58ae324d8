//! Objects to programs and shared libraries, with the ELF linker that is installed.
//!
//! A program is the generated object, the runtime archive and the C library that rustc ships; all but the
//! object are carried inside this crate, so that linking needs nothing but a linker.

mod library;
mod tools;

pub use library::{Library, Options, header, link_library};
pub use tools::Error;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};
use tools::{file, files, folder, linked, on_path, run};

macro_rules! part {
    ($name:literal) => {
        ($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name)) as &[u8])
    };
}

const BEFORE: &[(&str, &[u8])] = &[part!("crt1.o"), part!("crti.o")];
const ARCHIVES: &[(&str, &[u8])] = &[part!("libseqc_runtime.a"), part!("libunwind.a"), part!("libc.a")];
const AFTER: &[(&str, &[u8])] = &[part!("crtn.o")];

/// Links generated objects with the runtime: the bytes of a static executable.
///
/// # Errors
///
/// See [`Error`].
pub fn link_exe(objects: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let scratch = folder()?;
    let output = scratch.file("program");
    let mut command = Linker::find()?.command();
    command.args(["-static", "--gc-sections", "--strip-all", "--build-id=none"]);
    command
        .args(["-z", "noexecstack", "-z", "relro", "-z", "now", "-o"])
        .arg(&output);
    for (name, bytes) in BEFORE {
        command.arg(file(&scratch, name, bytes)?);
    }
    command.args(files(&scratch, objects)?).arg("--start-group");
    for (name, bytes) in ARCHIVES {
        command.arg(file(&scratch, name, bytes)?);
    }
    command.arg("--end-group");
    for (name, bytes) in AFTER {
        command.arg(file(&scratch, name, bytes)?);
    }
    run(command, &scratch)?;
    linked(&output)
}

/// Links a generated object alone into a shared library at `output`. What it needs of the runtime
/// (see `seqc_abi::symbols::BARRIER`) stays undefined: the program that loads the library provides it.
///
/// # Errors
///
/// See [`Error`].
pub fn link_shared(object: &[u8], output: &Path) -> Result<(), Error> {
    let scratch = folder()?;
    let mut command = Linker::find()?.command();
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

/// A linker and the words that make it behave as `ld`.
struct Linker {
    path: PathBuf,
    flavor: bool,
}

impl Linker {
    /// `SEQC_LINKER`, lld under its usual names, the one that comes with LLVM or rustc, then GNU `ld`.
    fn find() -> Result<Linker, Error> {
        if let Some(path) = env::var_os("SEQC_LINKER") {
            return Ok(Linker::at(path.into()));
        }
        let of_llvm = || {
            let prefix = env::var_os("MLIR_SYS_220_PREFIX")?;
            Some(Path::new(&prefix).join("bin").join("ld.lld")).filter(|path| path.is_file())
        };
        on_path("ld.lld")
            .or_else(|| on_path("ld.lld-22"))
            .or_else(of_llvm)
            .or_else(|| on_path("rust-lld"))
            .or_else(of_rustc)
            .or_else(|| on_path("ld"))
            .map(Linker::at)
            .ok_or_else(|| Error::NoLinker("ld.lld, ld.lld-22, rust-lld, ld".to_string()))
    }

    fn at(path: PathBuf) -> Linker {
        let flavor = path.file_name().is_some_and(|name| name == "rust-lld" || name == "lld");
        Linker { path, flavor }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if self.flavor {
            command.args(["-flavor", "gnu"]);
        }
        command
    }
}

/// The linker inside an installed Rust toolchain.
fn of_rustc() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
    let libdir = String::from_utf8(output.stdout).ok()?;
    let path = Path::new(libdir.trim()).parent()?.join("bin").join("rust-lld");
    path.is_file().then_some(path)
}
