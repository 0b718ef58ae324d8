//! A few cases of every target: what CI runs of the fuzzer.

use std::process::Command;

/// Cases of each target: about half a minute in all.
const CASES: &str = "60";

#[test]
fn a_slice_of_every_target_finds_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args(["all", "--cases", CASES, "--seed", "1", "--keep"])
        .arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/fuzz-findings"))
        .output()
        .unwrap_or_else(|error| panic!("{error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{erred}");
}
