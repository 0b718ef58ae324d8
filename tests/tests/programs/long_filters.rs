//! Filters of thousands of taps: programs against the plain sum, across the ends of blocks of every size.

use std::{collections::HashMap, fs};

use safetensors::{Dtype, serialize, tensor::TensorView};
use seqc_tests::{program::Program, rows::Rows};

use super::mixers::ways::{in_sessions, run};

/// max |difference| / max |reference|, f32 against double precision.
const TOLERANCE: f32 = 2e-6;
/// Channels, fewer than a vector has lanes and one more.
const WIDTH: usize = 17;
const TAPS: usize = 3000;
const TOKENS: usize = 5000;

const MODEL: &str = "version: 1
model: filter
sizes: {d: 17}
inputs: {x: \"[d]\"}
use: [layer.seq]
weights: {file: weights.safetensors}
stack:
  - filter: {}
    load: {f: f}
";

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A program of one layer `filter(x: [d]) -> [d]` with a parameter `f[d, 3000]`.
fn program(name: &str, body: &str, filter: &[f32]) -> Program {
    let dir = seqc_tests::scratch(&format!("long-filters-{name}"));
    let layer = format!("layer filter(x: [d]) -> [d] {{\n  dim lag = {TAPS}\n  param f[d, lag]\n{body}\n}}\n");
    let bytes: Vec<u8> = filter.iter().flat_map(|v| v.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![WIDTH, TAPS], &bytes).unwrap_or_else(|error| panic!("{error}"));
    let weights = serialize(HashMap::from([("f", view)]), None).unwrap_or_else(|error| panic!("{error}"));
    for (file, bytes) in [
        ("layer.seq", layer.as_bytes()),
        ("model.yaml", MODEL.as_bytes()),
        ("weights.safetensors", &weights),
    ] {
        fs::write(dir.join(file), bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    Program::build(&dir.join("model.yaml"), &dir.join("program"))
}

/// `y[c] = sum(l: f[c, l] * u[c] l tokens ago)`, `u` made of `x` and the result of the token before.
fn plain(x: &[f32], filter: &[f32], tokens: usize, input: impl Fn(f64, f64) -> f64) -> Rows {
    let mut y = vec![0.0_f32; tokens * WIDTH];
    for channel in 0..WIDTH {
        let taps: Vec<f64> = filter[channel * TAPS..(channel + 1) * TAPS]
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        // The newest first.
        let mut past = std::collections::VecDeque::new();
        let mut before = 0.0;
        for token in 0..tokens {
            past.push_front(input(f64::from(x[token * WIDTH + channel]), before));
            past.truncate(TAPS);
            before = taps.iter().zip(&past).map(|(w, u)| w * u).sum::<f64>();
            y[token * WIDTH + channel] = before as f32;
        }
    }
    Rows { width: WIDTH, data: y }
}

fn near(how: &str, found: &Rows, expected: &Rows, tolerance: f32) {
    let off = found.relative(expected);
    assert!(off <= tolerance, "{how}: off by {off:e}");
}

fn cut(chunks: &str, threads: usize) -> Vec<String> {
    ["--chunk", chunks, "--threads", &threads.to_string()]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn a_program_filters_across_blocks_of_every_size() {
    let filter = numbers(11, WIDTH * TAPS);
    let x = Rows {
        width: WIDTH,
        data: numbers(5, TOKENS * WIDTH),
    };
    let program = program("sum", "  long_conv(x, f)", &filter);
    let expected = plain(&x.data, &filter, TOKENS, |x, _| x);
    for (chunks, threads) in [("256", 1), ("1", 2), ("127,1,3,200", 2)] {
        let found = run(&program, &x, &cut(chunks, threads));
        near(chunks, &found, &expected, TOLERANCE);
    }
    // Sessions end inside blocks, at their ends, and one token behind.
    let cuts = [5, 128, 129, 1000, 1024, 2048, 2049, 3072];
    near("saved", &in_sessions(&program, &x, &cuts), &expected, TOLERANCE);
}

#[test]
fn what_is_filtered_may_depend_on_the_result() {
    let tokens = 2600;
    let decay = |n: usize| (-((n % TAPS) as f32) / 300.0).exp() * 0.05;
    let filter: Vec<f32> = numbers(3, WIDTH * TAPS)
        .into_iter()
        .enumerate()
        .map(|(n, v)| v * decay(n))
        .collect();
    let x = Rows {
        width: WIDTH,
        data: numbers(9, tokens * WIDTH),
    };
    let body = "  u: [d] = x + 0.5 * tanh(prev(y))\n  y: [d] = long_conv(u, f)\n  y";
    let program = program("loop", body, &filter);
    let expected = plain(&x.data, &filter, tokens, |x, before| x + 0.5 * before.tanh());
    for (chunks, threads) in [("256", 2), ("1", 1), ("100", 1)] {
        near(chunks, &run(&program, &x, &cut(chunks, threads)), &expected, 2e-5);
    }
    near("saved", &in_sessions(&program, &x, &[127, 1025]), &expected, 2e-5);
}
