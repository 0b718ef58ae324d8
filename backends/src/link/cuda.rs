//! Programs that start kernels on a GPU: the driver is a shared library, and so is the C library that it needs. The system's C compiler links.

use super::{
    runtime::Runtime,
    tools::{Error, files, folder, linked, run},
    toolset::Toolset,
};
use seqc_abi::Family;

/// The runtime of programs.
const RUNTIME: &str = "libseqc_runtime.a";
/// The system's libraries.
const NEEDED: &[&str] = &["-lgcc_s", "-lpthread", "-lm", "-ldl", "-lc"];
const OPTIONS: &[&str] = &["--gc-sections", "--strip-all", "--build-id=none", "-z,noexecstack"];

/// The bytes of an executable.
pub(super) fn program(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    let scratch = folder()?;
    let output = scratch.file("program");
    let mut command = Toolset::of(Family::HERE).linker(OPTIONS)?;
    command.args(files(&scratch, objects)?);
    command.arg(runtime.part(&scratch, RUNTIME)?).args(NEEDED);
    command.arg("-o").arg(&output);
    run(command, &scratch)?;
    linked(&output)
}
