//! Programs for other processors than this machine's: in user-mode emulation, for WebAssembly under wasmtime, for GPUs with kernels that fibers run.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::{command, device};

/// What programs are built for that say nothing else: the variable `SEQC_TEST_TARGET`, which runs whole programs of the tests in emulation,
/// or this machine, whose code is one of those that programs carry.
pub fn usual_target() -> &'static str {
    static TARGET: OnceLock<String> = OnceLock::new();
    TARGET.get_or_init(|| env::var("SEQC_TEST_TARGET").unwrap_or_else(|_| "native".to_owned()))
}

/// What runs programs of a target that `seqc build` knows; `None`: this machine does.
pub fn of_target(target: &str) -> Option<PathBuf> {
    if target == "cuda" {
        make_runtime("cuda");
        return Some(device::emulator());
    }
    let (family, architecture) = match target {
        "aarch64-linux" | "armv8-a" => ("aarch64-linux", "aarch64"),
        _ if target.starts_with("x86-64") => ("x86-64", "x86_64"),
        "wasm" => ("wasm", "wasm32"),
        _ => return None,
    };
    if architecture == env::consts::ARCH {
        return None;
    }
    make_runtime(family);
    Some(emulator(architecture))
}

/// The emulator of an architecture, of Debian's `qemu-user-static`; for WebAssembly a script that calls wasmtime.
pub fn emulator(architecture: &str) -> PathBuf {
    if architecture == "wasm32" {
        return crate::root().join("scripts").join("wasi.py");
    }
    let places = ["-static", ""].map(|ending| Path::new("/usr/bin").join(format!("qemu-{architecture}{ending}")));
    let found = places.iter().find(|path| path.is_file());
    let message = "is not installed: scripts/setup.sh installs qemu-user-static";
    found
        .cloned()
        .unwrap_or_else(|| panic!("{} {message}", places[0].display()))
}

/// Whether what an emulator runs has one thread, as WebAssembly has, or those of its device.
pub fn has_one_thread(emulator: &Path) -> bool {
    emulator == self::emulator("wasm32") || emulator.ends_with("cuda/run.sh")
}

/// A family of processors that is not this machine's.
pub fn other_family() -> &'static str {
    if env::consts::ARCH == "aarch64" {
        "x86-64"
    } else {
        "aarch64-linux"
    }
}

/// The words by which `seqc build` is told the usual target.
pub fn target_words() -> Vec<PathBuf> {
    match usual_target() {
        "native" => Vec::new(),
        target => vec!["--target".into(), target.into()],
    }
}

/// Makes what programs for another family of processors are linked with, where it is not made yet.
fn make_runtime(family: &'static str) {
    static MADE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.insert(family) {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(crate::root())
            .args(["run", "--quiet", "--package", "seqc-archive"]);
        cargo.arg("--target-dir").arg(command::target_dir());
        cargo.args(["--", "--quick", family]).arg(command::runtimes());
        let output = cargo.output().unwrap_or_else(|error| panic!("cargo run: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
