//! Objects to programs and shared libraries, with the ELF linker that is installed.
//!
//! A program is the generated object, the runtime archive and the C library that rustc ships; all but the
//! object are carried inside this crate, so that linking needs nothing but a linker.

use crate::scratch::{self, Folder};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

macro_rules! part {
    ($name:literal) => {
        ($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name)) as &[u8])
    };
}

const BEFORE: &[(&str, &[u8])] = &[part!("crt1.o"), part!("crti.o")];
const ARCHIVES: &[(&str, &[u8])] = &[part!("libseqc_runtime.a"), part!("libunwind.a"), part!("libc.a")];
const AFTER: &[(&str, &[u8])] = &[part!("crtn.o")];

/// Why a program could not be linked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing that links ELF was found.
    #[error("no linker found: looked for {0}; install LLVM's `lld`, or name one in SEQC_LINKER")]
    NoLinker(String),
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

/// Space that must be left where a program was linked: less means that it was in need of more.
const LEAST_SPACE: usize = 1 << 20;

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

/// What a library to embed is made with: the runtime with its C interface, and the header that declares it.
const LIBRARY: (&str, &[u8]) = part!("libseqc_library.a");
/// The C interface of a library, `seqc.h`.
pub const HEADER: &str = include_str!("../runtime/include/seqc.h");
/// The header's name.
pub const HEADER_NAME: &str = "seqc.h";
/// Only the C interface is visible from outside.
const EXPORTS: &[u8] = b"{ global: seqc_error; seqc_model_*; seqc_session_*; local: *; };";

/// Links generated objects with the runtime: the bytes of a shared library, for programs that use it through
/// [`HEADER`]. The system's C compiler does it, since the library uses the system's C library.
///
/// # Errors
///
/// See [`Error`].
pub fn link_library(objects: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let scratch = folder()?;
    let output = scratch.file("library.so");
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args([
        "-shared",
        "-Wl,--gc-sections",
        "-Wl,--strip-all",
        "-Wl,--build-id=none",
        "-o",
    ]);
    command.arg(&output).args(files(&scratch, objects)?);
    let mut exports = std::ffi::OsString::from("-Wl,--version-script=");
    exports.push(file(&scratch, "exports", EXPORTS)?);
    command.arg(exports).arg("-Wl,--whole-archive");
    command
        .arg(file(&scratch, LIBRARY.0, LIBRARY.1)?)
        .arg("-Wl,--no-whole-archive");
    command.args(["-lgcc_s", "-lpthread", "-lm", "-ldl", "-lc"]);
    run(command, &scratch)?;
    linked(&output)
}

fn linked(output: &Path) -> Result<Vec<u8>, Error> {
    fs::read(output).map_err(|error| Error::Io {
        path: output.to_owned(),
        error,
    })
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

fn folder() -> Result<Folder, Error> {
    Folder::new().map_err(|error| failed(env::temp_dir(), error))
}

fn file(folder: &Folder, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
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

fn files(folder: &Folder, objects: &[Vec<u8>]) -> Result<Vec<PathBuf>, Error> {
    let object = |(n, object): (usize, &Vec<u8>)| file(folder, &format!("model{n}.o"), object);
    objects.iter().enumerate().map(object).collect()
}

fn run(mut command: Command, scratch: &Folder) -> Result<(), Error> {
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
        let on_path = |name: &str| {
            let dirs = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&dirs)
                .map(|dir| dir.join(name))
                .find(|path| path.is_file())
        };
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
