//! Modules of WebAssembly: commands of WASI, whose function `_start` runs the program.

use super::{
    runtime::Runtime,
    tools::{Error, files, folder, linked, run},
    toolset::Linker,
};

/// What is linked with generated objects.
const PARTS: &[&str] = &["crt1-command.o", "libseqc_runtime.a", "libc.a"];
/// Bytes of the stack. It lies first, so that what is beyond its end is no memory, and going there ends the program.
const STACK: &str = "stack-size=8388608";

/// The bytes of a command.
pub(super) fn program(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    let scratch = folder()?;
    let output = scratch.file("program.wasm");
    let mut command = Linker::find(runtime.family)?.command();
    command.args(["--gc-sections", "--strip-all", "--stack-first", "-z", STACK, "-o"]);
    command.arg(&output).args(files(&scratch, objects)?);
    for name in PARTS {
        command.arg(runtime.part(&scratch, name)?);
    }
    run(command, &scratch)?;
    linked(&output)
}
