//! Links the library that this crate carries.

use std::{env, path::PathBuf};

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    assert!(
        target.starts_with("@architecture@-") && target.ends_with("-linux-gnu"),
        "the library of this crate is for Linux on @architecture@ with glibc, not for {target}"
    );
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo:rerun-if-changed=native/lib@crate@.a");
    println!(
        "cargo:rustc-link-search=native={}",
        root.join("native").display()
    );
    println!("cargo:rustc-link-lib=static=@crate@");
    for library in ["gcc_s", "m", "pthread", "dl"] {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
}
