//! Modules of WebAssembly: commands of WASI, whose function `_start` runs the program, and the C interface, whose functions others call.

use super::{
    library::functions,
    runtime::Runtime,
    tools::{Error, files, folder, linked, run},
    toolset::Linker,
};

/// What is linked with generated objects to a command.
const COMMAND: &[&str] = &["crt1-command.o", "libseqc_runtime.a", "libc.a"];
/// The same for the C interface.
const LIBRARY: &[&str] = &["crt1-reactor.o", "libseqc_library.a", "libc.a"];
/// What those who call a module call beside the C interface: memory for what they give, and what runs before the first call.
const BESIDE: &[&str] = &["malloc", "_initialize"];
/// Bytes of the stack. It lies first, so that what is beyond its end is no memory, and going there ends the program.
const STACK: &str = "stack-size=8388608";

/// The bytes of a command.
pub(super) fn program(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    module(objects, runtime, COMMAND, &[])
}

/// The bytes of a module with the C interface.
pub(super) fn library(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    let names = functions().into_iter().chain(BESIDE.iter().copied());
    let mut options: Vec<String> = names.map(|name| format!("--export={name}")).collect();
    options.push("--entry=_initialize".to_owned());
    module(objects, runtime, LIBRARY, &options)
}

fn module(objects: &[Vec<u8>], runtime: &Runtime, parts: &[&str], options: &[String]) -> Result<Vec<u8>, Error> {
    let scratch = folder()?;
    let output = scratch.file("module.wasm");
    let mut command = Linker::find(runtime.family)?.command();
    command.args(["--gc-sections", "--strip-all", "--stack-first", "-z", STACK]);
    command.args(options).arg("-o").arg(&output);
    command.args(files(&scratch, objects)?);
    for name in parts {
        command.arg(runtime.part(&scratch, name)?);
    }
    run(command, &scratch)?;
    linked(&output)
}
