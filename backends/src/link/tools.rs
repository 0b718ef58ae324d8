//! Running the linkers and what else edits objects, in a folder of their own.

use crate::scratch::{self, Folder};
use seqc_abi::Family;
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// Why a program could not be linked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing that links ELF was found.
    #[error("no linker found: looked for {0}; install LLVM's `lld`, or name one in SEQC_LINKER")]
    NoLinker(String),
    /// Nothing that edits symbol tables was found.
    #[error("no `objcopy` found: looked for {0}; install binutils or LLVM, or name one in OBJCOPY")]
    NoObjcopy(String),
    /// A tool of LLVM, which makes libraries for other machines than this one, was not found.
    #[error("a tool of LLVM is missing: looked for {0}; install LLVM 22 (Debian: llvm-22)")]
    NoTool(String),
    /// There is no runtime to link with for a family of processors other than that of this machine.
    #[error(
        "there is no runtime for {}: looked for {}; in the source of seqc, `scripts/runtime.sh {}` makes one; SEQC_RUNTIMES names another folder",
        family.name(), listed(folders), family.name()
    )]
    NoRuntime {
        /// The family.
        family: Family,
        /// Where it was looked for.
        folders: Vec<PathBuf>,
    },
    /// The runtime for a family of processors was built from other sources than this compiler.
    #[error(
        "the runtime for {} in {} is of another version of seqc; in the source of this one, `scripts/runtime.sh {}` makes it anew",
        family.name(), folder.display(), family.name()
    )]
    OtherRuntime {
        /// The family.
        family: Family,
        /// Where it is.
        folder: PathBuf,
    },
    /// A file could not be written or a linker not started.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The linker ran and refused.
    #[error("{linker} failed: {message}")]
    Failed {
        /// Which one.
        linker: PathBuf,
        /// What it printed.
        message: String,
    },
    /// The linker stopped without a word of use.
    #[error("{linker} stopped, {status}; another one can be named in SEQC_LINKER")]
    Stopped {
        /// Which one.
        linker: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// No space where programs are linked.
    #[error("the disk of {folder}, where programs are linked, is full; TMPDIR names another folder")]
    Full {
        /// The folder for temporary files.
        folder: PathBuf,
    },
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

/// Space that must be left where a program was linked: less means that it was in need of more.
const LEAST_SPACE: usize = 1 << 20;

pub(super) fn linked(output: &Path) -> Result<Vec<u8>, Error> {
    fs::read(output).map_err(|error| Error::Io {
        path: output.to_owned(),
        error,
    })
}

pub(super) fn folder() -> Result<Folder, Error> {
    Folder::new().map_err(|error| failed(env::temp_dir(), error))
}

pub(super) fn file(folder: &Folder, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    folder
        .write(name, bytes)
        .map_err(|error| failed(folder.file(name), error))
}

fn failed(path: PathBuf, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => full(),
        _ => Error::Io { path, error },
    }
}

fn full() -> Error {
    Error::Full {
        folder: env::temp_dir(),
    }
}

pub(super) fn files(folder: &Folder, objects: &[Vec<u8>]) -> Result<Vec<PathBuf>, Error> {
    let object = |(n, object): (usize, &Vec<u8>)| file(folder, &format!("model{n}.o"), object);
    objects.iter().enumerate().map(object).collect()
}

pub(super) fn run(mut command: Command, scratch: &Folder) -> Result<(), Error> {
    let linker = PathBuf::from(command.get_program());
    let output = scratch::run(&mut command).map_err(|error| Error::Io {
        path: linker.clone(),
        error,
    })?;
    if output.status.success() {
        return Ok(());
    }
    // Whether there was no space shows in that there is none for another file.
    let space = scratch.write("space", &vec![1; LEAST_SPACE]);
    if space.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
        return Err(full());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    // A linker that crashes prints a request for a report and a backtrace.
    let lines = text.lines().take_while(|line| !line.starts_with("PLEASE submit"));
    let message = lines.take(12).collect::<Vec<_>>().join("\n");
    match message.is_empty() {
        false => Err(Error::Failed { linker, message }),
        true => Err(Error::Stopped {
            linker,
            status: output.status,
        }),
    }
}

/// A program in one of the folders of `PATH`.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let dirs = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&dirs).map(|dir| dir.join(name));
    places.into_iter().find(|path| path.is_file())
}
