//! What generated code is linked with, for one family of processors: the runtime in its two forms, and the C library that rustc ships.
//!
//! The runtime is another crate of this workspace for another target and profile, which cargo cannot express as a dependency, so cargo is
//! called again with a target directory of its own: once for programs, once for libraries to embed. The build script of `seqc-backends` does
//! so for the machine that it runs on; the command `seqc-archive` for another one.

mod build;
mod sources;

pub use build::{Effort, build};
pub use sources::{SOURCES, fingerprint};

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// The families of processors that the runtime is built for, as `seqc build --target` names them.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "x86-64",
        architecture: "x86_64",
    },
    Family {
        name: "aarch64-linux",
        architecture: "aarch64",
    },
];

/// The C library and start-up objects that rustc ships for musl.
pub const PARTS: &[&str] = &["crt1.o", "crti.o", "libc.a", "libunwind.a", "crtn.o"];

/// A family of processors.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, as `seqc build --target` takes it.
    pub name: &'static str,
    /// Its name in target triples.
    pub architecture: &'static str,
}

impl Family {
    /// The family of an architecture, as cargo names it to build scripts.
    pub fn of(architecture: &str) -> Option<Family> {
        FAMILIES.iter().copied().find(|f| f.architecture == architecture)
    }
}

/// One form of the runtime.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Its archive's file name.
    pub archive: &'static str,
    /// The C library that it is for, as target triples name it.
    system: &'static str,
    /// Cargo's profile.
    profile: &'static str,
    /// Arguments that choose its features.
    features: &'static [&'static str],
}

impl Form {
    /// The form of programs.
    pub const PROGRAM: Form = Form {
        archive: "libseqc_runtime.a",
        system: "musl",
        profile: "runtime",
        features: &[],
    };
    /// The form of libraries to embed.
    pub const LIBRARY: Form = Form {
        archive: "libseqc_library.a",
        system: "gnu",
        profile: "library",
        features: &["--no-default-features", "--features", "library"],
    };

    /// rustc's name of the target.
    pub fn target(&self, family: Family) -> String {
        format!("{}-unknown-linux-{}", family.architecture, self.system)
    }
}

/// The folder of the C library that rustc ships for programs.
///
/// # Errors
///
/// Where rustc has no libraries for this target: how to install them.
pub fn self_contained(family: Family) -> Result<PathBuf, Box<dyn Error>> {
    let target = Form::PROGRAM.target(family);
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", &target])
        .output()?;
    let libdir = String::from_utf8(output.stdout)?;
    let dir = Path::new(libdir.trim()).join("self-contained");
    if !dir.is_dir() {
        return Err(format!("rustc has no libraries for {target}; run `rustup target add {target}`").into());
    }
    Ok(dir)
}
