//! Objects to libraries for other programs: a shared and a static one, with the same few exported symbols.
//!
//! Generated objects and the runtime become one relocatable object first, in which every symbol but those of the C
//! interface is local. Both libraries are made of it: several of them, with prefixes of their own, can be part of one program.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    runtime::Runtime,
    tools::{Error, file, files, folder, linked, run},
    toolset::Toolset,
};
use crate::scratch::Folder;

/// The runtime with its C interface.
const RUNTIME: &str = "libseqc_library.a";
/// The C interface, with the names that it has without a prefix of the user's.
const HEADER: &str = include_str!("../../runtime/include/seqc.h");
/// What all names of the C interface begin with, in the header and in the runtime.
const PREFIX: &str = "seqc";
/// Sections of bitcode, for which only rustc has a use.
const BITCODE: &[&str] = &[".llvmbc", ".llvmcmd"];
/// The system's libraries that a shared library needs, as linkers ask for them.
const NEEDED: &[&str] = &["gcc_s", "pthread", "m", "dl", "c"];
/// The same as the dynamic linker finds them.
const SONAMES: &[&str] = &[
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libm.so.6",
    "libdl.so.2",
    "libc.so.6",
];
/// What the start-up objects of C compilers define in shared libraries: an address by which what is registered for the end of a thread knows its library.
const HANDLE: &str = ".section .data.rel.ro,\"aw\",@progbits\n.balign 8\n.globl __dso_handle\n.hidden __dso_handle\n\
                      __dso_handle:\n.quad __dso_handle\n.section .note.GNU-stack,\"\",@progbits\n";

/// A library in both forms.
#[derive(Clone, Debug)]
pub struct Library {
    /// `libNAME.so`.
    pub shared: Vec<u8>,
    /// `libNAME.a`, of one object.
    pub archive: Vec<u8>,
}

/// The C header of a library whose names begin with `prefix`.
pub fn header(prefix: &str) -> String {
    let upper = prefix.to_uppercase();
    HEADER
        .replace("seqc_", &format!("{prefix}_"))
        .replace("seqc.h", &format!("{prefix}.h"))
        .replace("SEQC_", &format!("{upper}_"))
}

/// The functions that the header declares: identifiers before a parenthesis, outside of comments.
pub(super) fn functions() -> Vec<&'static str> {
    let code = HEADER
        .split("/*")
        .map(|part| part.split_once("*/").map_or(part, |(_, code)| code));
    let names = code.flat_map(|code| {
        code.match_indices("seqc_").filter_map(|(at, _)| {
            let rest = &code[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            rest[end..].starts_with('(').then_some(&rest[..end])
        })
    });
    names.collect()
}

/// How a library is linked.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What the names of the C interface begin with.
    pub prefix: &'a str,
    /// The name by which the dynamic linker finds the shared library.
    pub soname: &'a str,
    /// A bundle of files that the static library contains; those of the shared one are appended to it.
    pub inside: Option<&'a Path>,
}

/// Links generated objects with the runtime of their family, for programs that use them through [`header`] of the same `prefix`. For the machine
/// that the compiler runs on, the system's C compiler does it, since the libraries use the system's C library; for others, LLVM's linker, which
/// asks for no copy of their C library: names of what it defines stay open.
///
/// # Errors
///
/// See [`Error`].
pub fn link_library(objects: &[Vec<u8>], runtime: &Runtime, options: &Options) -> Result<Library, Error> {
    let exports: Vec<String> = functions()
        .iter()
        .map(|name| name.replacen(PREFIX, options.prefix, 1))
        .collect();
    let maker = Maker {
        scratch: folder()?,
        tools: Toolset::of(runtime.family.host()),
        exports,
    };
    let whole = maker.whole(objects, runtime)?;
    let with = |inside: Option<&Path>, name: &str| -> Result<PathBuf, Error> {
        let parts = [whole.clone(), maker.section(inside)?];
        maker.localised(&parts, &format!("{}{name}.o", options.prefix))
    };
    let object = with(None, "")?;
    let archived = match options.inside {
        Some(inside) => with(Some(inside), "-inside")?,
        None => object.clone(),
    };
    Ok(Library {
        shared: maker.shared(&object, options.soname)?,
        archive: maker.archive(&archived)?,
    })
}

/// Where a library is made, with what, and the names of its functions.
struct Maker {
    scratch: Folder,
    tools: Toolset,
    exports: Vec<String>,
}

impl Maker {
    fn run(&self, command: Command) -> Result<(), Error> {
        run(command, &self.scratch)
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        file(&self.scratch, name, text.as_bytes())
    }

    /// One relocatable object of everything that the exported functions need.
    fn whole(&self, objects: &[Vec<u8>], runtime: &Runtime) -> Result<PathBuf, Error> {
        let output = self.scratch.file("whole.o");
        let mut command = self.tools.joiner()?;
        // LLVM's linker drops sections only at the end.
        if self.tools.is_of_system() {
            command.arg(self.tools.option("--gc-sections"));
        }
        command.args(
            functions()
                .iter()
                .map(|name| self.tools.option(&format!("--undefined={name}"))),
        );
        command.arg("-o").arg(&output);
        command.args(files(&self.scratch, objects)?);
        command.arg(runtime.part(&self.scratch, RUNTIME)?);
        self.run(command)?;
        Ok(output)
    }

    /// An object of assembly.
    fn assembled(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let source = self.file(&format!("{name}.s"), text)?;
        let output = self.scratch.file(&format!("{name}.o"));
        self.run(self.tools.assembler(&source, &output)?)?;
        Ok(output)
    }

    /// An object with a bundle of files, or an empty one.
    fn section(&self, inside: Option<&Path>) -> Result<PathBuf, Error> {
        let bytes = inside.map_or_else(String::new, |path| format!(".incbin \"{}\"\n", path.display()));
        let text = format!(
            ".section .seqc_inside,\"a\",@progbits\n.balign 4096\n.globl seqc_inside\nseqc_inside:\n{bytes}\
             .globl seqc_inside_end\nseqc_inside_end:\n.section .note.GNU-stack,\"\",@progbits\n"
        );
        let name = if inside.is_some() { "inside" } else { "nothing-inside" };
        self.assembled(name, &text)
    }

    /// Joins objects, gives the exported functions their names, and hides everything else.
    fn localised(&self, parts: &[PathBuf], name: &str) -> Result<PathBuf, Error> {
        let (all, local) = (self.scratch.file(&format!("{name}.all")), self.scratch.file(name));
        let mut command = self.tools.joiner()?;
        command.arg("-o").arg(&all).args(parts);
        self.run(command)?;

        let renamed = functions()
            .into_iter()
            .zip(&self.exports)
            .filter(|(from, to)| from != to);
        let renamed: String = renamed.map(|(from, to)| format!("{from} {to}\n")).collect();
        let mut command = Command::new(self.tools.objcopy()?);
        command.arg("--strip-debug");
        command.args(BITCODE.iter().map(|section| format!("--remove-section={section}")));
        command.arg(option(
            "--redefine-syms=",
            &self.file(&format!("{name}.renamed"), &renamed)?,
        ));
        command.arg(&all).arg(&local);
        self.run(command)?;

        // Renaming and choosing by name are two runs: tools differ in which of both they do first.
        let mut command = Command::new(self.tools.objcopy()?);
        let kept = self.exports.join("\n") + "\n";
        command.arg(option(
            "--keep-global-symbols=",
            &self.file(&format!("{name}.kept"), &kept)?,
        ));
        command.arg(&local);
        self.run(command)?;
        Ok(local)
    }

    fn shared(&self, object: &Path, soname: &str) -> Result<Vec<u8>, Error> {
        const OPTIONS: &[&str] = &["--gc-sections", "--strip-all", "--build-id=none", "--eh-frame-hdr"];
        const GUARDS: &[&str] = &["-z", "noexecstack", "-z", "relro", "-z", "now"];
        let output = self.scratch.file("library.so");
        let script = format!("{{ global: {}; local: *; }};", self.exports.join("; "));
        let script = self.file("exports", &script)?;
        let mut command = self.tools.linker(&[OPTIONS, GUARDS].concat())?;
        command
            .arg("-shared")
            .arg(self.tools.option(&format!("--soname={soname}")));
        command.arg(option(self.tools.option("--version-script="), &script));
        command.arg("-o").arg(&output).arg(object);
        match self.tools.is_of_system() {
            true => drop(command.args(NEEDED.iter().map(|name| format!("-l{name}")))),
            false => drop(command.arg(self.assembled("handle", HANDLE)?).args(self.stand_ins()?)),
        }
        self.run(command)?;
        linked(&output)
    }

    /// Empty libraries with the names of those that are needed.
    fn stand_ins(&self) -> Result<Vec<PathBuf>, Error> {
        let empty = self.assembled("empty", "")?;
        let stand_in = |name: &&str| {
            let output = self.scratch.file(name);
            let mut command = self.tools.linker(&["-shared", &format!("--soname={name}")])?;
            command.arg("-o").arg(&output).arg(&empty);
            self.run(command)?;
            Ok(output)
        };
        SONAMES.iter().map(stand_in).collect()
    }

    fn archive(&self, object: &Path) -> Result<Vec<u8>, Error> {
        let output = self.scratch.file("library.a");
        let mut command = Command::new(self.tools.archiver()?);
        // No dates and owners: the same model gives the same bytes.
        command.arg("rcsD").arg(&output).arg(object);
        self.run(command)?;
        linked(&output)
    }
}

/// An option with a path behind it.
fn option(name: impl Into<OsString>, path: &Path) -> OsString {
    let mut option = name.into();
    option.push(path);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_that_the_header_declares() {
        let found = functions();
        for name in ["seqc_error", "seqc_model_open", "seqc_session_feed"] {
            assert!(found.contains(&name), "{name} in {found:?}");
        }
        assert!(found.iter().all(|name| name.starts_with("seqc_")), "{found:?}");
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len());
    }

    #[test]
    fn a_prefix_is_that_of_every_name() {
        let text = header("tiny");
        assert!(!text.contains("seqc_") && !text.contains("SEQC_"), "{text}");
        assert!(text.contains("tiny_model *tiny_model_open(") && text.contains("#ifndef TINY_H"));
        assert_eq!(header(PREFIX), HEADER);
    }
}
