//! Collects what programs and libraries for the machine that this crate is built for are linked with: all of it is carried inside the compiler.
//!
//! `SEQC_RUNTIME_ARCHIVE` and `SEQC_LIBRARY_ARCHIVE` name ready archives of the runtime to use instead of building it.

use seqc_archive::{Effort, Family, SOURCES, build, fingerprint, self_contained};
use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// The variables that name ready archives of the runtime: for programs, and for libraries.
const READY: [&str; 2] = ["SEQC_RUNTIME_ARCHIVE", "SEQC_LIBRARY_ARCHIVE"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    let family =
        Family::of(&architecture).ok_or_else(|| format!("no program can be built for this machine, {architecture}"))?;
    println!("cargo:rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    // One directory for lints, builds and tests, so that the runtime is compiled once.
    let target_dir = out.ancestors().nth(4).unwrap_or(&out).join("seqc-runtime");
    for (form, ready) in family.forms().zip(READY) {
        println!("cargo:rerun-if-env-changed={ready}");
        let archive = match env::var_os(ready) {
            Some(path) => {
                println!("cargo:rerun-if-changed={}", Path::new(&path).display());
                PathBuf::from(path)
            }
            None => build(&form, family, Effort::Whole, &here, &target_dir)?,
        };
        copy(&archive, &out.join(form.archive))?;
    }
    let parts = self_contained(family)?;
    for part in family.parts {
        copy(&parts.join(part), &out.join(part))?;
    }
    println!("cargo:rustc-env=SEQC_RUNTIME_SOURCES={}", fingerprint(&here)?);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(())
}
