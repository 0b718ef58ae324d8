//! A crate for Rust around the static library: a folder that `cargo build --offline` compiles.

use super::{companion::Companion, folder, template::Template};
use crate::request::{Failure, Request};
use std::path::PathBuf;

/// The texts of the crate, by their places in it.
const TEXTS: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../bindings/rust/Cargo.toml.template")),
    ("README.md", include_str!("../../bindings/rust/README.md.template")),
    ("build.rs", include_str!("../../bindings/rust/build.rs")),
    ("examples/generate.rs", include_str!("../../bindings/rust/generate.rs")),
    ("src/batch.rs", include_str!("../../bindings/rust/batch.rs")),
    ("src/error.rs", include_str!("../../bindings/rust/error.rs")),
    ("src/ffi.rs", include_str!("../../bindings/rust/ffi.rs")),
    ("src/lib.rs", include_str!("../../bindings/rust/lib.rs")),
    ("src/model.rs", include_str!("../../bindings/rust/model.rs")),
    ("src/progress.rs", include_str!("../../bindings/rust/progress.rs")),
    ("src/request.rs", include_str!("../../bindings/rust/request.rs")),
    ("src/session.rs", include_str!("../../bindings/rust/session.rs")),
    ("src/source.rs", include_str!("../../bindings/rust/source.rs")),
    ("src/text.rs", include_str!("../../bindings/rust/text.rs")),
];

/// The files of the crate but its library.
pub(super) fn texts(request: &Request) -> Vec<Companion> {
    let template = Template {
        package: &request.prefix,
        file: "",
        architecture: request.family().architecture(),
    };
    let text = |(place, text): &(&str, &str)| Companion {
        path: request.output.join(place),
        text: template.fill(text),
        guarded: false,
    };
    TEXTS.iter().map(text).collect()
}

/// Where the static library goes.
pub(super) fn archive(request: &Request) -> PathBuf {
    let name = format!("lib{}.a", request.prefix);
    request.output.join("native").join(name)
}

/// Whether the folder may be written: it is empty, or such a crate.
pub(super) fn check(request: &Request) -> Result<(), Failure> {
    folder::check(request, "crate", &archive(request))
}
