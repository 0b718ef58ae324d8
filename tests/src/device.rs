//! Programs for GPUs on a machine without one: a library in place of the driver runs their kernels by fibers (`tests/cuda`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::command;

/// What runs programs for GPUs. It lies beside the driver, which is compiled first.
pub(crate) fn emulator() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let (source, folder) = (crate::root().join("tests/cuda"), crate::scratch("cuda"));
        let (part, driver) = (folder.join("part"), folder.join("libcuda.so.1"));
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=2", "-o"]);
        succeed(rustc.arg(&part).arg(source.join("driver.rs")));
        fs::rename(part, driver).expect("renamed");
        let script = folder.join("run.sh");
        fs::copy(source.join("run.sh"), &script).expect("copied");
        script
    };
    MADE.get_or_init(make).clone()
}

/// Makes the library that has the kernels of a program, for fibers, beside it.
pub fn build_kernels(model: &Path, program: &Path) {
    let named = |ending: &str| PathBuf::from(format!("{}{ending}", program.display()));
    let object = named(".o");
    let build = ["build", "--target", "cuda-emulated", "--emit", "obj", "-o"].map(PathBuf::from);
    command::seqc(&[&build[..], &[object.clone(), model.to_owned()]].concat()).ok();
    let mut cc = Command::new("cc");
    // Fibers are those of the driver.
    cc.args(["-shared", "-Wl,--unresolved-symbols=ignore-all", "-o"]);
    succeed(cc.arg(named(".so")).arg(&object));
    let _ = fs::remove_file(object);
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
