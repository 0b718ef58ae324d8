//! Choices between equal keys: the earlier one is chosen, in whatever chunks the tokens come.

use std::fs;

use seqc_tests::{
    command,
    program::{Program, fresh_file, list},
    root,
    rows::{Rows, read_numbers},
    scratch,
};

use crate::mixers::ways::stream;

/// Large enough that one token and a chunk take different kernels for all but the keys.
const MODEL: &str = "version: 1\nmodel: choices\nsizes: {d: 160}\ninputs: {x: \"[d]\"}\nuse: [selection_in_two_steps.seq]\n\
                     weights: {random: 5}\nstack:\n  - selection_in_two_steps: {hd: 16}\n";

#[test]
fn equal_keys_are_chosen_in_their_order_however_tokens_are_cut() {
    let dir = scratch("selections");
    let file = "selection_in_two_steps.seq";
    fs::copy(root().join("tests/layers").join(file), dir.join(file)).unwrap_or_else(|error| panic!("{error}"));
    let model = dir.join("model.yaml");
    fs::write(&model, MODEL).unwrap_or_else(|error| panic!("{error}"));
    let program = Program::build(&model, &dir.join("program"));
    let x = repeated(60, 6, 160);
    let input = stream(&x);
    let evaluated = fresh_file("evaluated.safetensors");
    let args = [
        "eval".into(),
        model,
        "--input".into(),
        input.clone(),
        "-o".into(),
        evaluated.clone(),
    ];
    command::seqc(&args).ok();
    let reports = ["c1", "c2"].map(|name| format!("trace.selection_in_two_steps.{name}"));
    let wanted = reports.each_ref().map(|report| read_numbers(&evaluated, report));
    assert!(wanted.iter().all(|choices| choices.iter().any(|choice| *choice > 0.0)));
    for cut in [&[60][..], &[1], &[7], &[3, 1, 20], &[5, 1, 1, 1, 30], &[1, 1, 16]] {
        for threads in [1, 2] {
            let output = fresh_file("choices.safetensors");
            let line = format!("run --trace --threads {threads} --chunk {}", list(cut));
            let mut args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            args.extend(["--input".to_owned(), input.display().to_string()]);
            args.extend(["--output".to_owned(), output.display().to_string()]);
            program.run(&args).ok();
            let found = reports.each_ref().map(|report| read_numbers(&output, report));
            assert_eq!(found, wanted, "chunks {cut:?}, {threads} threads");
        }
    }
}

/// Long enough that queries go through what they name, in prompts and one by one.
const NAMED: &str = "version: 1\nmodel: named\nsizes: {d: 24}\ninputs: {x: \"[d]\"}\nuse: [named_blocks.seq]\nweights: {random: 5}\n\
                     stack:\n  - named_blocks: {}\n";

#[test]
fn what_queries_name_is_the_same_however_tokens_are_cut() {
    let dir = scratch("named");
    let file = "named_blocks.seq";
    fs::copy(root().join("tests/layers").join(file), dir.join(file)).unwrap_or_else(|error| panic!("{error}"));
    let model = dir.join("model.yaml");
    fs::write(&model, NAMED).unwrap_or_else(|error| panic!("{error}"));
    let program = Program::build(&model, &dir.join("program"));
    let input = stream(&repeated(1500, 9, 24));
    let evaluated = fresh_file("evaluated.safetensors");
    let args = [
        "eval".into(),
        model,
        "--input".into(),
        input.clone(),
        "-o".into(),
        evaluated.clone(),
    ];
    command::seqc(&args).ok();
    let reports = ["blocks", "keys"].map(|name| format!("trace.named_blocks.{name}"));
    let chosen = reports.each_ref().map(|report| read_numbers(&evaluated, report));
    let wanted = read_numbers(&evaluated, "y");
    let largest = wanted.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for cut in [&[1500][..], &[1], &[700, 1, 1, 1, 7], &[64, 33]] {
        for threads in [1, 2] {
            let output = fresh_file("named.safetensors");
            let line = format!("run --trace --threads {threads} --chunk {}", list(cut));
            let mut args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            args.extend(["--input".to_owned(), input.display().to_string()]);
            args.extend(["--output".to_owned(), output.display().to_string()]);
            program.run(&args).ok();
            let found = reports.each_ref().map(|report| read_numbers(&output, report));
            assert_eq!(found, chosen, "chunks {cut:?}, {threads} threads");
            let found = read_numbers(&output, "y");
            let differences = found.iter().zip(&wanted).map(|(x, y)| (x - y).abs());
            let deviation = differences.fold(0.0, f64::max) / largest;
            assert!(
                deviation < 1e-5,
                "{deviation} of the largest result in chunks {cut:?}, {threads} threads"
            );
        }
    }
}

/// Rows of numbers between -1 and 1, each one of a few.
fn repeated(length: usize, kinds: usize, width: usize) -> Rows {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 40
    };
    let rows: Vec<Vec<f32>> = (0..kinds)
        .map(|_| (0..width).map(|_| next() as f32 / (1_u32 << 23) as f32 - 1.0).collect())
        .collect();
    let data = (0..length)
        .flat_map(|_| rows[next() as usize % kinds].clone())
        .collect();
    Rows { width, data }
}
