//! Programs are static and small, and depth costs no code.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use seqc_tests::{fixture::Fixture, program::Program, root};

/// Bytes that an emitted program stays below, without weights.
const LARGEST: u64 = 10_000_000;

fn deep(layers: usize) -> Program {
    let model = fs::read_to_string(root().join("specs/models/mamba-130m.yaml")).unwrap_or_default();
    let text = model.replace("layers: 24", &format!("layers: {layers}"));
    assert_ne!(model, text, "the model has another number of layers now");
    let dir = seqc_tests::scratch("deep");
    let path = dir.join(format!("deep{layers}.yaml"));
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Program::build(&path, &dir.join(format!("deep{layers}")))
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn twice_the_depth_is_the_same_code() {
    let (thirty, sixty) = (deep(30), deep(60));
    let (one, two) = (bytes(&thirty.path).len() as f64, bytes(&sixty.path).len() as f64);
    assert!(two < 1.03 * one, "{one} bytes for 30 layers, {two} for 60");
}

#[test]
fn a_program_is_static_and_small() {
    let program = bytes(&deep(12).path);
    assert!(program.len() as u64 <= LARGEST, "{} bytes", program.len());
    assert!(program.starts_with(b"\x7fELF"));
    let interpreter = b"ld-linux";
    assert!(
        !program.windows(interpreter.len()).any(|window| window == interpreter),
        "it asks for a dynamic loader"
    );
}

#[test]
fn a_program_starts_at_once() {
    let program = Fixture::open("llama").program();
    let start = || {
        let from = Instant::now();
        program
            .run(&["logits", "--tokens", "1", "--output", "-"].map(str::to_owned))
            .ok();
        from.elapsed()
    };
    let best = (0..10).map(|_| start()).min().unwrap_or_default();
    assert!(
        best < Duration::from_millis(50),
        "the quickest of ten starts took {best:?}"
    );
}
