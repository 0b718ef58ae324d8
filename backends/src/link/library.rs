//! Objects to libraries for other programs: a shared and a static one, with the same few exported symbols.
//!
//! Generated objects and the runtime become one relocatable object first, in which every symbol but those of the C
//! interface is local. Both libraries are made of it: several of them, with prefixes of their own, can be part of one program.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::tools::{Error, file, files, folder, linked, on_path, run};
use crate::scratch::Folder;

/// The runtime with its C interface.
const RUNTIME: (&str, &[u8]) = (
    "libseqc_library.a",
    include_bytes!(concat!(env!("OUT_DIR"), "/libseqc_library.a")),
);
/// The C interface, with the names that it has without a prefix of the user's.
const HEADER: &str = include_str!("../../runtime/include/seqc.h");
/// What all names of the C interface begin with, in the header and in the runtime.
const PREFIX: &str = "seqc";
/// Sections of bitcode, for which only rustc has a use.
const BITCODE: &[&str] = &[".llvmbc", ".llvmcmd"];
/// Where `objcopy` is looked for.
const OBJCOPY: &[&str] = &["objcopy", "llvm-objcopy", "llvm-objcopy-22"];

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
fn functions() -> Vec<&'static str> {
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

/// Links generated objects with the runtime, for programs that use them through [`header`] of the same `prefix`. The system's C
/// compiler does it, since the libraries use the system's C library.
///
/// # Errors
///
/// See [`Error`].
pub fn link_library(objects: &[Vec<u8>], options: &Options) -> Result<Library, Error> {
    let scratch = folder()?;
    let exports: Vec<String> = functions()
        .iter()
        .map(|name| name.replacen(PREFIX, options.prefix, 1))
        .collect();
    let whole = whole(&scratch, objects)?;
    let with = |inside: Option<&Path>, name: &str| -> Result<PathBuf, Error> {
        let parts = [whole.clone(), section(&scratch, inside)?];
        localised(&scratch, &parts, &exports, &format!("{}{name}.o", options.prefix))
    };
    let object = with(None, "")?;
    let archived = match options.inside {
        Some(inside) => with(Some(inside), "-inside")?,
        None => object.clone(),
    };
    Ok(Library {
        shared: shared(&scratch, &object, &exports, options.soname)?,
        archive: archive(&scratch, &archived)?,
    })
}

fn compiler() -> Command {
    Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
}

/// Joins objects to one.
fn joined(output: &Path) -> Command {
    let mut command = compiler();
    // Groups of sections that linkers keep once in a program would be taken from another library's object.
    command.args(["-r", "-nostdlib", "-Wl,--force-group-allocation", "-o"]);
    command.arg(output);
    command
}

/// One relocatable object of everything that the exported functions need.
fn whole(scratch: &Folder, objects: &[Vec<u8>]) -> Result<PathBuf, Error> {
    let output = scratch.file("whole.o");
    let mut command = joined(&output);
    command.arg("-Wl,--gc-sections");
    command.args(functions().iter().map(|name| format!("-Wl,-u,{name}")));
    command.args(files(scratch, objects)?);
    command.arg(file(scratch, RUNTIME.0, RUNTIME.1)?);
    run(command, scratch)?;
    Ok(output)
}

/// An object with a bundle of files, or an empty one.
fn section(scratch: &Folder, inside: Option<&Path>) -> Result<PathBuf, Error> {
    let bytes = inside.map_or_else(String::new, |path| format!(".incbin \"{}\"\n", path.display()));
    let text = format!(
        ".section .seqc_inside,\"a\",@progbits\n.balign 4096\n.globl seqc_inside\nseqc_inside:\n{bytes}\
         .globl seqc_inside_end\nseqc_inside_end:\n.section .note.GNU-stack,\"\",@progbits\n"
    );
    let name = if inside.is_some() { "inside" } else { "nothing-inside" };
    let source = file(scratch, &format!("{name}.s"), text.as_bytes())?;
    let output = scratch.file(&format!("{name}.o"));
    let mut command = compiler();
    command.arg("-c").arg(source).arg("-o").arg(&output);
    run(command, scratch)?;
    Ok(output)
}

/// Joins objects, gives the exported functions their names, and hides everything else.
fn localised(scratch: &Folder, parts: &[PathBuf], exports: &[String], name: &str) -> Result<PathBuf, Error> {
    let (all, local) = (scratch.file(&format!("{name}.all")), scratch.file(name));
    let mut command = joined(&all);
    command.args(parts);
    run(command, scratch)?;

    let renamed = functions().into_iter().zip(exports).filter(|(from, to)| from != to);
    let renamed: String = renamed.map(|(from, to)| format!("{from} {to}\n")).collect();
    let mut command = Command::new(objcopy()?);
    command.arg("--strip-debug");
    command.args(BITCODE.iter().map(|section| format!("--remove-section={section}")));
    command.arg(option(
        "--redefine-syms=",
        &file(scratch, &format!("{name}.renamed"), renamed.as_bytes())?,
    ));
    command.arg(&all).arg(&local);
    run(command, scratch)?;

    // Renaming and choosing by name are two runs: tools differ in which of both they do first.
    let mut command = Command::new(objcopy()?);
    let kept = exports.join("\n") + "\n";
    command.arg(option(
        "--keep-global-symbols=",
        &file(scratch, &format!("{name}.kept"), kept.as_bytes())?,
    ));
    command.arg(&local);
    run(command, scratch)?;
    Ok(local)
}

fn shared(scratch: &Folder, object: &Path, exports: &[String], soname: &str) -> Result<Vec<u8>, Error> {
    let output = scratch.file("library.so");
    let script = format!("{{ global: {}; local: *; }};", exports.join("; "));
    let script = file(scratch, "exports", script.as_bytes())?;
    let mut command = compiler();
    command.args([
        "-shared",
        "-Wl,--gc-sections",
        "-Wl,--strip-all",
        "-Wl,--build-id=none",
        "-Wl,-z,noexecstack,-z,relro,-z,now",
    ]);
    command.arg(format!("-Wl,-soname,{soname}"));
    command.arg(option("-Wl,--version-script=", &script));
    command.arg("-o").arg(&output).arg(object);
    command.args(["-lgcc_s", "-lpthread", "-lm", "-ldl", "-lc"]);
    run(command, scratch)?;
    linked(&output)
}

fn archive(scratch: &Folder, object: &Path) -> Result<Vec<u8>, Error> {
    let output = scratch.file("library.a");
    let mut command = Command::new(env::var_os("AR").unwrap_or_else(|| "ar".into()));
    // No dates and owners: the same model gives the same bytes.
    command.arg("rcsD").arg(&output).arg(object);
    run(command, scratch)?;
    linked(&output)
}

/// An option with a path behind it.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// `OBJCOPY`, then that of binutils or LLVM.
fn objcopy() -> Result<PathBuf, Error> {
    let named = env::var_os("OBJCOPY").map(PathBuf::from);
    let found = named.or_else(|| OBJCOPY.iter().find_map(|name| on_path(name)));
    found.ok_or_else(|| Error::NoObjcopy(OBJCOPY.join(", ")))
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
