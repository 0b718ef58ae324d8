//! Sequences of vectors put through a program: whole, cut, or handed from process to process.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, serialize, tensor::TensorView};
use seqc_tests::{
    program::{Program, fresh_file, list},
    rows::Rows,
};

/// `run`: the output of every row.
pub(crate) fn run(program: &Program, x: &Rows, more: &[String]) -> Rows {
    run_together(program, std::slice::from_ref(x), more)
}

/// `run` of several sequences in one batch: the outputs of every row, those of the first sequence first.
pub(crate) fn run_together(program: &Program, sequences: &[Rows], more: &[String]) -> Rows {
    let (inputs, output) = (sequences.iter().map(stream), fresh_file("y.safetensors"));
    let mut files: Vec<PathBuf> = inputs.collect();
    let mut args = vec!["run".to_owned(), "--output".to_owned(), output.display().to_string()];
    for input in &files {
        args.extend(["--input".to_owned(), input.display().to_string()]);
    }
    args.extend_from_slice(more);
    program.run(&args).ok();
    let y = Rows::read(&output, "y");
    files.push(output);
    for file in files {
        fs::remove_file(file).ok();
    }
    assert_eq!(
        y.len(),
        sequences.iter().map(Rows::len).sum::<usize>(),
        "one row per token"
    );
    y
}

/// How far the outputs of some sequences in one batch are from those of each alone, in whatever chunks, from the beginning and
/// behind `before` tokens: max |difference| / max |reference|.
pub(crate) fn batch_deviation(program: &Program, x: &Rows, before: usize) -> f32 {
    let state = fresh_file("state");
    let file = state.display().to_string();
    run(program, &x.slice(0, before), &["--save-state".to_owned(), file.clone()]);
    let end = x.len() - before;
    let parts = [(0, end), (3, 4), (end / 2, end), (1, end / 2), (0, 1)];
    let sequences: Vec<Rows> = parts.iter().map(|(from, to)| x.slice(*from, *to)).collect();
    let mut most = 0.0f32;
    for (threads, start) in [("1", None), ("2", None), ("2", Some(&file))] {
        let mut args = vec!["--threads".to_owned(), threads.to_owned()];
        args.extend(
            start
                .iter()
                .flat_map(|file| ["--load-state".to_owned(), (*file).clone()]),
        );
        let alone = sequences.iter().map(|x| run(program, x, &args));
        let alone = alone
            .reduce(|all, rows| all.then(&rows))
            .unwrap_or_else(|| panic!("sequences"));
        for chunks in [&[][..], &[1], &[5, 1, 1, 20, 1]] {
            let mut args = args.clone();
            if !chunks.is_empty() {
                args.extend(["--chunk".to_owned(), list(chunks)]);
            }
            most = most.max(run_together(program, &sequences, &args).relative(&alone));
        }
    }
    fs::remove_file(state).ok();
    most
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
