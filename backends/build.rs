//! Builds the runtime that emitted programs carry, and collects what linking them takes.
//!
//! The runtime is another crate of this workspace for another target and profile, which cargo cannot
//! express as a dependency, so cargo is called again with a target directory of its own: once for programs, once for
//! libraries to embed. `SEQC_RUNTIME_ARCHIVE` and `SEQC_LIBRARY_ARCHIVE` name ready archives to use instead.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "x86_64-unknown-linux-musl";
/// One form of the runtime.
struct Form {
    /// Its archive's name here.
    archive: &'static str,
    target: &'static str,
    profile: &'static str,
    /// Arguments that choose its features.
    features: &'static [&'static str],
    /// Variable that names a ready archive.
    ready: &'static str,
}

const FORMS: &[Form] = &[
    Form {
        archive: "libseqc_runtime.a",
        target: TARGET,
        profile: "runtime",
        features: &[],
        ready: "SEQC_RUNTIME_ARCHIVE",
    },
    Form {
        archive: "libseqc_library.a",
        target: "x86_64-unknown-linux-gnu",
        profile: "library",
        features: &["--no-default-features", "--features", "library"],
        ready: "SEQC_LIBRARY_ARCHIVE",
    },
];
/// The C library and start-up objects that rustc ships for this target.
const PARTS: &[&str] = &["crt1.o", "crti.o", "libc.a", "libunwind.a", "crtn.o"];
/// Directories below `backends/` that the runtime is made from.
const SOURCES: &[&str] = &["runtime", "abi", "checkpoint", "formats"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    for form in FORMS {
        println!("cargo:rerun-if-env-changed={}", form.ready);
        let archive = match env::var_os(form.ready) {
            Some(path) => {
                println!("cargo:rerun-if-changed={}", Path::new(&path).display());
                PathBuf::from(path)
            }
            None => build_runtime(&here, &out, form)?,
        };
        copy(&archive, &out.join(form.archive))?;
    }
    let parts = self_contained()?;
    for part in PARTS {
        copy(&parts.join(part), &out.join(part))?;
    }
    Ok(())
}

fn build_runtime(here: &Path, out: &Path, form: &Form) -> Result<PathBuf, Box<dyn Error>> {
    for source in SOURCES {
        if here.join(source).exists() {
            println!("cargo:rerun-if-changed={source}");
        }
    }
    // One directory for lints, builds and tests, so that the runtime is compiled once.
    let target_dir = out.ancestors().nth(4).unwrap_or(out).join("seqc-runtime");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(here.parent().unwrap_or(here));
    cargo.args([
        "rustc",
        "--quiet",
        "-p",
        "seqc-runtime",
        "--lib",
        "--profile",
        form.profile,
    ]);
    cargo
        .args(form.features)
        .args(["--crate-type", "staticlib", "--target", form.target, "--target-dir"])
        .arg(&target_dir);
    for (name, _) in env::vars_os() {
        if name.to_str().is_none_or(belongs_to_outer_build) {
            cargo.env_remove(name);
        }
    }
    if let Some(flag) = nameless() {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flag);
    }
    let output = cargo.output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!(
            "the runtime does not build (is `rustup target add {}` done?)\n{text}",
            form.target
        )
        .into());
    }
    Ok(target_dir
        .join(form.target)
        .join(form.profile)
        .join("libseqc_runtime.a"))
}

/// The flag by which messages of panics name files of other crates without this machine's folders: no program tells where
/// it was built.
fn nameless() -> Option<OsString> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(home);
    flag.push("=cargo");
    Some(flag)
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
