//! Sequences of vectors put through a program: whole, cut, or handed from process to process.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, serialize, tensor::TensorView};
use seqc_tests::{
    program::{Program, fresh_file},
    rows::Rows,
};

/// `run`: the output of every row.
pub(crate) fn run(program: &Program, x: &Rows, more: &[String]) -> Rows {
    let (input, output) = (stream(x), fresh_file("y.safetensors"));
    let mut args = vec!["run".to_owned(), "--input".to_owned(), input.display().to_string()];
    args.extend(["--output".to_owned(), output.display().to_string()]);
    args.extend_from_slice(more);
    program.run(&args).ok();
    let y = Rows::read(&output, "y");
    for file in [input, output] {
        fs::remove_file(file).ok();
    }
    assert_eq!(y.len(), x.len(), "one row per token");
    y
}

/// The outputs of processes that each read the rows up to a cut and hand their state to the next.
pub(crate) fn in_sessions(program: &Program, x: &Rows, cuts: &[usize]) -> Rows {
    let (mut from, mut state, mut all) = (0, None::<PathBuf>, None::<Rows>);
    for to in cuts.iter().copied().chain([x.len()]) {
        let next = fresh_file("state");
        let mut args = vec!["--save-state".to_owned(), next.display().to_string()];
        if let Some(state) = &state {
            args.extend(["--load-state".to_owned(), state.display().to_string()]);
        }
        let rows = run(program, &x.slice(from, to), &args);
        all = Some(match all {
            Some(before) => before.then(&rows),
            None => rows,
        });
        (from, state) = (to, Some(next));
    }
    all.unwrap_or_else(|| panic!("nothing was read"))
}

/// A file with the stream `x`.
pub(crate) fn stream(x: &Rows) -> PathBuf {
    let path = fresh_file("x.safetensors");
    let bytes: Vec<u8> = x.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    write(&path, &bytes, vec![x.len(), x.width]);
    path
}

fn write(path: &Path, bytes: &[u8], shape: Vec<usize>) {
    let view = TensorView::new(Dtype::F32, shape, bytes).unwrap_or_else(|error| panic!("{error}"));
    let file = serialize(HashMap::from([("x", view)]), None).unwrap_or_else(|error| panic!("{error}"));
    fs::write(path, file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Sizes from 1 to 24 that add up to at least `length`, the same ones in every run.
pub(crate) fn random_cut(name: &str, seed: usize, length: usize) -> Vec<usize> {
    let start = name.bytes().fold(seed as u64 + 1, |state, byte| {
        state.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let next = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    let mut sizes = Vec::new();
    for state in std::iter::successors(Some(start), next).skip(1) {
        sizes.push(1 + (state >> 33) as usize % 24);
        if sizes.iter().sum::<usize>() >= length {
            break;
        }
    }
    sizes
}
