//! The programs that link, join and edit objects: those of the system for the family of processors that the compiler runs on, LLVM's for
//! others, of which LLVM's know all.

use super::tools::{Error, on_path};
use crate::targets::{self, Format};
use seqc_abi::Family;
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Names under which the tools of LLVM are found, beside those without a version.
const VERSION: &str = "-22";
/// Where `objcopy` is looked for, for this machine.
const OBJCOPY: &[&str] = &["objcopy", "llvm-objcopy", "llvm-objcopy-22"];

/// The tools that make libraries for a family.
#[derive(Clone, Copy)]
pub(super) struct Toolset {
    family: Family,
}

impl Toolset {
    pub(super) fn of(family: Family) -> Toolset {
        Toolset { family }
    }

    /// Whether the system's are used, with its C compiler as the linker.
    pub(super) fn is_of_system(self) -> bool {
        self.family == Family::HERE
    }

    /// What links objects with these options of the linker.
    pub(super) fn linker<O: AsRef<str>>(self, options: &[O]) -> Result<Command, Error> {
        let mut command = match self.is_of_system() {
            true => Command::new(named("CC").unwrap_or_else(|| "cc".into())),
            false => Linker::find(self.family)?.command(),
        };
        command.args(options.iter().map(|option| self.option(option.as_ref())));
        Ok(command)
    }

    /// An option of the linker.
    pub(super) fn option(self, text: &str) -> OsString {
        match self.is_of_system() {
            true => format!("-Wl,{text}").into(),
            false => text.into(),
        }
    }

    /// What joins objects to one.
    pub(super) fn joiner(self) -> Result<Command, Error> {
        // Groups of sections that linkers keep once in a program would be taken from another library's object.
        let mut command = self.linker(&["--force-group-allocation"])?;
        command.arg("-r");
        if self.is_of_system() {
            command.arg("-nostdlib");
        }
        Ok(command)
    }

    /// What makes an object of assembly.
    pub(super) fn assembler(self, source: &Path, output: &Path) -> Result<Command, Error> {
        let mut command = match self.is_of_system() {
            true => Command::new(named("CC").unwrap_or_else(|| "cc".into())),
            false => Command::new(of_llvm_or_path("llvm-mc")?),
        };
        if self.is_of_system() {
            command.arg("-c");
        } else {
            let triple = format!("-triple={}-unknown-linux-gnu", self.family.architecture());
            command.args(["-filetype=obj", &triple]);
        }
        command.arg(source).arg("-o").arg(output);
        Ok(command)
    }

    /// What edits the symbols of objects: the one that `OBJCOPY` names, then that of binutils or LLVM.
    pub(super) fn objcopy(self) -> Result<PathBuf, Error> {
        if !self.is_of_system() {
            return of_llvm_or_path("llvm-objcopy");
        }
        let found = named("OBJCOPY").or_else(|| OBJCOPY.iter().find_map(|name| on_path(name)));
        found.ok_or_else(|| Error::NoObjcopy(OBJCOPY.join(", ")))
    }

    /// What puts objects into archives.
    pub(super) fn archiver(self) -> Result<PathBuf, Error> {
        match self.is_of_system() {
            true => Ok(named("AR").unwrap_or_else(|| "ar".into())),
            false => of_llvm_or_path("llvm-ar"),
        }
    }
}

/// The program that a variable names.
fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

/// A tool of the LLVM that this compiler was built with.
fn of_llvm(name: &str) -> Option<PathBuf> {
    let prefix = env::var_os("MLIR_SYS_220_PREFIX")?;
    Some(Path::new(&prefix).join("bin").join(name)).filter(|path| path.is_file())
}

/// A tool of LLVM, with the version in its name or without.
fn of_llvm_or_path(name: &str) -> Result<PathBuf, Error> {
    let versioned = format!("{name}{VERSION}");
    let found = on_path(&versioned).or_else(|| of_llvm(name)).or_else(|| on_path(name));
    found.ok_or_else(|| Error::NoTool(format!("{versioned}, {name}")))
}

/// A linker, and where it is one of several in a program, the name of the one.
pub(super) struct Linker {
    path: PathBuf,
    flavor: Option<&'static str>,
}

impl Linker {
    /// `SEQC_LINKER`, lld under its usual names, the one that comes with LLVM or rustc, then GNU `ld`, which links for this machine only.
    pub(super) fn find(family: Family) -> Result<Linker, Error> {
        let (name, flavor) = match targets::family(family).format {
            Format::Elf | Format::Ptx => ("ld.lld", "gnu"),
            Format::Wasm => ("wasm-ld", "wasm"),
        };
        if let Some(path) = env::var_os("SEQC_LINKER") {
            return Ok(Linker::at(path.into(), flavor));
        }
        let versioned = format!("{name}{VERSION}");
        let system = || (family.host() == Family::HERE).then(|| on_path("ld"))?;
        on_path(name)
            .or_else(|| on_path(&versioned))
            .or_else(|| of_llvm(name))
            .or_else(|| on_path("rust-lld"))
            .or_else(of_rustc)
            .or_else(system)
            .map(|path| Linker::at(path, flavor))
            .ok_or_else(|| Error::NoLinker(format!("{name}, {versioned}, rust-lld, ld")))
    }

    fn at(path: PathBuf, flavor: &'static str) -> Linker {
        let several = path.file_name().is_some_and(|name| name == "rust-lld" || name == "lld");
        let flavor = several.then_some(flavor);
        Linker { path, flavor }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(flavor) = self.flavor {
            command.args(["-flavor", flavor]);
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
