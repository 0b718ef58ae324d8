//! Builds the runtime that emitted programs carry, and collects what linking them takes.
//!
//! The runtime is another crate of this workspace for another target and profile, which cargo cannot
//! express as a dependency, so cargo is called a second time with a target directory of its own.
//! `SEQC_RUNTIME_ARCHIVE` names a ready `libseqc_runtime.a` to use instead.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "x86_64-unknown-linux-musl";
const ARCHIVE: &str = "libseqc_runtime.a";
/// The C library and start-up objects that rustc ships for this target.
const PARTS: &[&str] = &["crt1.o", "crti.o", "libc.a", "libunwind.a", "crtn.o"];
/// Directories below `backends/` that the runtime is made from.
const SOURCES: &[&str] = &["runtime", "abi", "checkpoint"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SEQC_RUNTIME_ARCHIVE");
    let archive = match env::var_os("SEQC_RUNTIME_ARCHIVE") {
        Some(path) => {
            println!("cargo:rerun-if-changed={}", Path::new(&path).display());
            PathBuf::from(path)
        }
        None => build_runtime(&here, &out)?,
    };
    copy(&archive, &out.join(ARCHIVE))?;
    let parts = self_contained()?;
    for part in PARTS {
        copy(&parts.join(part), &out.join(part))?;
    }
    Ok(())
}

fn build_runtime(here: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    for source in SOURCES {
        if here.join(source).exists() {
            println!("cargo:rerun-if-changed={source}");
        }
    }
    let target_dir = out.join("runtime-target");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(here.parent().unwrap_or(here));
    cargo.args([
        "rustc",
        "--quiet",
        "-p",
        "seqc-runtime",
        "--lib",
        "--profile",
        "runtime",
    ]);
    cargo
        .args(["--crate-type", "staticlib", "--target", TARGET, "--target-dir"])
        .arg(&target_dir);
    for (name, _) in env::vars_os() {
        if name.to_str().is_none_or(belongs_to_outer_build) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the runtime does not build (is `rustup target add {TARGET}` done?)\n{text}").into());
    }
    Ok(target_dir.join(TARGET).join("runtime").join(ARCHIVE))
}

/// Variables by which the outer cargo, clippy or rustdoc would bend the inner build.
fn belongs_to_outer_build(name: &str) -> bool {
    const KEPT: &[&str] = &[
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
    ];
    const DROPPED: &[&str] = &[
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "CLIPPY",
        "MAKEFLAGS",
        "TARGET",
        "HOST",
        "PROFILE",
        "OUT_DIR",
    ];
    DROPPED.iter().any(|prefix| name.starts_with(prefix)) && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

fn self_contained() -> Result<PathBuf, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let libdir = String::from_utf8(output.stdout)?;
    let dir = Path::new(libdir.trim()).join("self-contained");
    if !dir.is_dir() {
        return Err(format!("rustc has no libraries for {TARGET}; run `rustup target add {TARGET}`").into());
    }
    Ok(dir)
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(())
}
