//! Small models built, run and compared with the evaluator.

use crate::ending::Ending;
use seqc::{driver, model::Built, reference, request::Emit};
use seqc_checkpoint::Checkpoint;
use seqc_ir::{
    Elem,
    eval::Tensor,
    random::{Range, Rng},
};
use std::{fs, path::Path, process::Command};

/// Tokens of a sequence.
const TOKENS: usize = 19;

/// Most numbers in all tensors of a model that is computed.
const NUMBERS: usize = 1 << 18;

/// How far a program may be off, in parts of the largest entry: single against double precision.
const TOLERANCE: f64 = 2e-3;

/// A change of the inputs, relative, that must not change results by [`TOLERANCE`]: else the layer decides on a knife's edge
/// and single precision says nothing about the compiler.
const NUDGE: f64 = 1e-5;

/// True for what the evaluator computes at once.
pub(super) fn is_small(built: &Built) -> bool {
    let numbers = built.model.kinds.iter().flat_map(|kind| {
        let values = kind.graph.values().into_iter();
        values.map(|v| kind.graph.ty(v).len()).collect::<Vec<_>>()
    });
    numbers.fold(0_usize, usize::saturating_add) < NUMBERS
}

/// Builds the program and compares it, the sequence cut in several ways.
pub(super) fn compare(rng: &mut Rng, built: &Built, dir: &Path) -> Ending {
    let rows = inputs(built, rng);
    let expected = reference::run(built, &rows).map_err(|e| format!("eval: {e}"))?;
    for _ in 0..3 {
        let nudged = reference::run(built, &nudged(built, &rows, rng)).map_err(|e| format!("eval: {e}"))?;
        let pairs = expected.iter().zip(&nudged);
        if pairs.clone().any(|(a, b)| distance(&a.data, &b.data) > TOLERANCE / 4.0) {
            return Ok("on a knife's edge");
        }
    }
    if expected
        .iter()
        .any(|o| o.data.iter().any(|x| x.abs() > 1e30 || x.is_nan()))
    {
        return Ok("not finite");
    }
    let program = dir.join("program");
    let request = super::request::request(Emit::Exe, "native", program.clone());
    driver::stages(built, &request, &mut |_, _, _| {}).map_err(|failure| format!("build: {failure:?}"))?;
    write(built, &rows, &dir.join("x.safetensors")).map_err(|e| format!("inputs: {e}"))?;
    for (chunks, threads) in [("64", "1"), ("1", "1"), ("5,1,8", "2")] {
        let found = run(&program, dir, chunks, threads)?;
        for output in &expected {
            let data = found
                .get(&output.name)
                .ok_or_else(|| format!("the program does not write `{}`", output.name))?
                .to_f32()
                .map_err(|e| e.to_string())?;
            let data: Vec<f64> = data.into_iter().map(f64::from).collect();
            let off = distance(&output.data, &data);
            if off > TOLERANCE {
                let at = first_difference(&output.data, &data);
                return Err(format!(
                    "`{}` is off by {off:e} with --chunk {chunks} --threads {threads}, first at entry {at} of {:?}: {} for {}",
                    output.name, output.shape, data[at], output.data[at]
                ));
            }
        }
    }
    Ok("computed")
}

fn run(program: &Path, dir: &Path, chunks: &str, threads: &str) -> Result<Checkpoint, String> {
    let result = dir.join("y.safetensors");
    let _ = fs::remove_file(&result);
    let output = Command::new(program)
        .args(["run", "--trace", "--chunk", chunks, "--threads", threads, "--input"])
        .arg(dir.join("x.safetensors"))
        .arg("--output")
        .arg(&result)
        .output()
        .map_err(|e| format!("the program does not start: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the program ends with {}: {said}", output.status));
    }
    Checkpoint::open(&result).map_err(|e| e.to_string())
}

fn inputs(built: &Built, rng: &mut Rng) -> Vec<Vec<Tensor>> {
    let row = |_| {
        let each = built.model.inputs.iter().zip(&built.meta.vocabularies);
        let tensor = |(input, vocabulary): (&seqc_ir::ModelInput, &Option<usize>)| {
            let range = match input.ty.elem {
                Elem::F32 => Range::Real { low: -2.0, high: 2.0 },
                _ => Range::Below(vocabulary.unwrap_or(7).min(7)),
            };
            range.tensor(rng, &input.ty.sizes(), None)
        };
        each.map(tensor).collect()
    };
    let tokens = TOKENS.min(built.meta.max_context.unwrap_or(TOKENS));
    (0..tokens).map(row).collect()
}

/// The same with reals a little different.
fn nudged(built: &Built, rows: &[Vec<Tensor>], rng: &mut Rng) -> Vec<Vec<Tensor>> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        for (tensor, input) in row.iter_mut().zip(&built.model.inputs) {
            if input.ty.elem == Elem::F32 {
                tensor
                    .data
                    .iter_mut()
                    .for_each(|x| *x *= 1.0 + NUDGE * (rng.unit() - 0.5));
            }
        }
    }
    rows
}

/// The largest difference in parts of the largest entry.
fn distance(expected: &[f64], found: &[f64]) -> f64 {
    if expected.len() != found.len() {
        return f64::INFINITY;
    }
    let scale = expected.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
    let off = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
    let worst =
        expected.iter().zip(found).map(off).fold(
            0.0,
            |worst: f64, off| {
                if off.is_nan() { f64::INFINITY } else { worst.max(off) }
            },
        );
    worst / scale
}

fn first_difference(expected: &[f64], found: &[f64]) -> usize {
    let scale = expected.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
    let alike = |a: &f64, b: &f64| a == b || (a - b).abs() <= TOLERANCE * scale;
    let differs = |(a, b): (&f64, &f64)| !alike(a, b);
    expected.iter().zip(found).position(differs).unwrap_or(0)
}

/// Inputs as a safetensors file: each tensor is `[tokens, …]`.
fn write(built: &Built, rows: &[Vec<Tensor>], path: &Path) -> std::io::Result<()> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (n, input) in built.model.inputs.iter().enumerate() {
        let start = data.len();
        for x in rows.iter().flat_map(|row| &row[n].data) {
            match input.ty.elem {
                Elem::F32 => data.extend((*x as f32).to_le_bytes()),
                _ => data.extend((*x as i64).to_le_bytes()),
            }
        }
        let ty = if input.ty.elem == Elem::F32 { "F32" } else { "I64" };
        let shape: Vec<String> = [rows.len()]
            .iter()
            .chain(&input.ty.sizes())
            .map(ToString::to_string)
            .collect();
        header.push(format!(
            "\"{}\": {{\"dtype\": \"{ty}\", \"shape\": [{}], \"data_offsets\": [{start}, {}]}}",
            input.name,
            shape.join(", "),
            data.len()
        ));
    }
    let mut header = format!("{{{}}}", header.join(", "));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    fs::write(path, out)
}
