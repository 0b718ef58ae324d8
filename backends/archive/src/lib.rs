//! What generated code is linked with, for one family of processors: the runtime in its forms, and the C library that rustc ships.
//!
//! The runtime is another crate of this workspace for another target and profile, which cargo cannot express as a dependency, so cargo is
//! called again with a target directory of its own: once for programs, once for libraries to embed. The build script of `seqc-backends` does
//! so for the machine that it runs on; the command `seqc-archive` for another one.

mod build;
mod families;
mod sources;

pub use build::{Effort, build};
pub use families::{FAMILIES, Family, Form};
pub use sources::{SOURCES, fingerprint};

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the C library that rustc ships for programs.
///
/// # Errors
///
/// Where rustc has no libraries for this target: how to install them.
pub fn self_contained(family: Family) -> Result<PathBuf, Box<dyn Error>> {
    let target = family.program.target;
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .output()?;
    let libdir = String::from_utf8(output.stdout)?;
    let dir = Path::new(libdir.trim()).join("self-contained");
    if !dir.is_dir() {
        return Err(format!("rustc has no libraries for {target}; run `rustup target add {target}`").into());
    }
    Ok(dir)
}
