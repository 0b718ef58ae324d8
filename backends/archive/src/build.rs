//! Calling cargo for the runtime.

use crate::{Family, Form};
use std::{
    env,
    error::Error,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// How much time a build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Optimised as a whole: minutes.
    Whole,
    /// Crate by crate and hardly: for tests of programs in emulation, most of whose time is spent elsewhere.
    Quick,
}

/// Builds a form of the runtime for a family, in a target directory of its own; gives the archive's path. The first folder is that of the crate
/// `seqc-backends`.
///
/// # Errors
///
/// What cargo says.
pub fn build(
    form: &Form,
    family: Family,
    effort: Effort,
    backends: &Path,
    target_dir: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    let target = form.target;
    let profile = match effort {
        Effort::Whole => form.profile.to_owned(),
        Effort::Quick => format!("{}-quick", form.profile),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(backends.parent().unwrap_or(backends));
    cargo.args(["rustc", "--quiet", "-p", "seqc-runtime", "--lib", "--profile", &profile]);
    cargo
        .args(form.features)
        .args(["--crate-type", "staticlib", "--target", target, "--target-dir"])
        .arg(target_dir);
    for (name, _) in env::vars_os() {
        if name.to_str().is_none_or(belongs_to_outer_build) {
            cargo.env_remove(name);
        }
    }
    if let Some(flag) = nameless() {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flag);
    }
    if family.architecture != env::consts::ARCH {
        // Archives take no linker. Dependencies that are shared libraries as well are linked by one that does nothing: there need be none that
        // knows the other processors.
        let name = target.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{name}_LINKER"), "true");
    }
    let output = cargo.output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the runtime does not build (is `rustup target add {target}` done?)\n{text}").into());
    }
    Ok(target_dir.join(target).join(profile).join("libseqc_runtime.a"))
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
