//! Static executables for Linux.

use super::{
    runtime::Runtime,
    tools::{Error, files, folder, linked, run},
    toolset::Linker,
};

/// What is linked before generated objects, with them, and behind them.
const BEFORE: &[&str] = &["crt1.o", "crti.o"];
const ARCHIVES: &[&str] = &["libseqc_runtime.a", "libunwind.a", "libc.a"];
const AFTER: &[&str] = &["crtn.o"];

/// The bytes of an executable.
pub(super) fn program(objects: &[Vec<u8>], runtime: &Runtime) -> Result<Vec<u8>, Error> {
    let scratch = folder()?;
    let output = scratch.file("program");
    let mut command = Linker::find(runtime.family)?.command();
    command.args(["-static", "--gc-sections", "--strip-all", "--build-id=none"]);
    command
        .args(["-z", "noexecstack", "-z", "relro", "-z", "now", "-o"])
        .arg(&output);
    for name in BEFORE {
        command.arg(runtime.part(&scratch, name)?);
    }
    command.args(files(&scratch, objects)?).arg("--start-group");
    for name in ARCHIVES {
        command.arg(runtime.part(&scratch, name)?);
    }
    command.arg("--end-group");
    for name in AFTER {
        command.arg(runtime.part(&scratch, name)?);
    }
    run(command, &scratch)?;
    linked(&output)
}
