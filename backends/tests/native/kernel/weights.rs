//! Products with stored weights under the interpreter, for machines that this one may not be.

use crate::support::{Random, weights};
use seqc_abi::batch::Run;
use seqc_backends::{
    kernel::{Module, Space, interpret::Interpreter, verify::verify},
    kernels::{self, GemmRows, Parts, RowForm, RowLayout, Units},
    targets::TargetInfo,
};
use seqc_formats::Encoding;

const FLOATS: RowLayout = RowLayout {
    rows: GemmRows::Together,
    form: RowForm::Floats,
    units: Units::Vectors,
};
const ROWS: usize = 21;
const TOKENS: usize = 3;
/// Floats before each segment of skinny products.
const GAP: usize = 5;

/// Names of the functions that multiply, and whether they take several tokens.
fn products(module: &mut Module, target: &TargetInfo, encoding: Encoding, k: usize) -> Vec<(String, bool)> {
    let mut list = vec![
        (kernels::gemv(module, target, encoding, RowForm::Floats), false),
        (kernels::gemv_in_order(module, target, encoding), false),
        (kernels::gemm(module, target, encoding, k, FLOATS), true),
    ];
    if target.micro_kernels.matrix_units.is_some() {
        let units = Units::Matrices(Parts::Three);
        list.push((
            kernels::gemm(module, target, encoding, k, RowLayout { units, ..FLOATS }),
            true,
        ));
    }
    list
}

pub(super) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn check(target: &TargetInfo, encoding: Encoding, k: usize) {
    let mut module = Module::default();
    let products = products(&mut module, target, encoding, k);
    let machine = &target.machine;
    assert_eq!(verify(&module), []);
    let mut random = Random::new(5);
    // A panel is at most this many rows.
    let rows = ROWS.min(machine.panel_rows());
    let (stored, w) = weights(encoding, rows, k, &mut random);
    let x = random.floats(TOKENS * k);
    let mut interpreter = Interpreter::new(&module);
    let memory = interpreter.memory();
    let (stored, input) = (
        memory.allocate_constant("weights", stored),
        memory.allocate_constant("x", bytes(&x)),
    );
    let scratch = vec![0xFF; kernels::gemm_scratch_bytes(machine, TOKENS)];
    let scratch = memory.allocate_in(Space::Scratch, "scratch", scratch);
    let row_bytes = encoding.row_bytes(k).unwrap_or(0) as u64;
    for (name, many) in products {
        let (n, k64) = (rows as u64, k as u64);
        let out = interpreter.memory().allocate("y", vec![0xFF; 4 * TOKENS * rows]);
        let args = if many {
            vec![stored, n, input, k64, out, n, TOKENS as u64, scratch]
        } else {
            vec![stored, row_bytes, n, input, k64, out]
        };
        interpreter
            .call(&name, &args)
            .unwrap_or_else(|fault| panic!("{} {fault}", machine.name));
        let tokens = if many { TOKENS } else { 1 };
        let found = interpreter
            .memory()
            .bytes(out, 4 * tokens * rows, 4)
            .map(<[u8]>::to_vec);
        let found = found.unwrap_or_else(|message| panic!("{message}"));
        for (at, found) in floats(&found).into_iter().enumerate() {
            let (t, r) = (at / rows, at % rows);
            let off = deviation(found, &w[r * k..][..k], &x[t * k..][..k]);
            assert!(off < 1e-5, "{} {name} k {k}: row {r} of token {t}", machine.name);
        }
    }
}

pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let float = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    bytes.chunks_exact(4).map(float).collect()
}

/// How far a product is off, as a part of the sum of its terms.
pub(super) fn deviation(found: f32, w: &[f32], x: &[f32]) -> f64 {
    let (mut want, mut scale) = (0.0, 1e-3);
    for (w, x) in w.iter().zip(x) {
        want += f64::from(*w) * f64::from(*x);
        scale += (f64::from(*w) * f64::from(*x)).abs();
    }
    (f64::from(found) - want).abs() / scale
}

/// Products of `tokens` rows, every run of them being rows of one segment each or of one segment.
fn check_skinny(target: &TargetInfo, encoding: Encoding, k: usize, runs: &[Run]) {
    let mut module = Module::default();
    kernels::gemv(&mut module, target, encoding, RowForm::Floats);
    let names =
        [GemmRows::Together, GemmRows::Runs].map(|rows| kernels::skinny_gemm(&mut module, target, encoding, rows));
    assert_eq!(verify(&module), []);
    let tokens = runs.iter().map(|run| run.count as usize).sum::<usize>();
    let segments: Vec<usize> = runs.iter().flat_map(segments).collect();
    let mut random = Random::new(6);
    let (stored, w) = weights(encoding, ROWS, k, &mut random);
    let row_bytes = encoding.row_bytes(k).unwrap_or(0) as u64;
    for (name, gap) in names.iter().zip([0, GAP]) {
        let place = |t: usize, width: usize| t * width + segments[t] * gap;
        let x = random.floats(place(tokens - 1, k) + k);
        let mut interpreter = Interpreter::new(&module);
        let memory = interpreter.memory();
        let (stored, input) = (
            memory.allocate_constant("weights", stored.clone()),
            memory.allocate_constant("x", bytes(&x)),
        );
        let table: Vec<u8> = runs
            .iter()
            .flat_map(|run| [run.first, run.count, run.segment, run.single])
            .flat_map(u64::to_le_bytes)
            .collect();
        let table = memory.allocate_constant("runs", table);
        let size = 4 * (place(tokens - 1, ROWS) + ROWS);
        let out = memory.allocate("y", vec![0xFF; size]);
        let (n, k64, gap64) = (ROWS as u64, k as u64, gap as u64);
        let mut args = vec![stored, row_bytes, n, input, k64, out, n, tokens as u64, k64];
        if gap > 0 {
            args.extend([table, runs.len() as u64, gap64, gap64]);
        }
        let done = interpreter.call(name, &args);
        done.unwrap_or_else(|fault| panic!("{} {fault}", target.machine.name));
        let found = interpreter.memory().bytes(out, size, 4).map(floats);
        let found = found.unwrap_or_else(|message| panic!("{message}"));
        for t in 0..tokens {
            for r in 0..ROWS {
                let (y, x) = (found[place(t, ROWS) + r], &x[place(t, k)..][..k]);
                let off = deviation(y, &w[r * k..][..k], x);
                assert!(off < 1e-5, "{} {name} k {k}: row {r} of {t}", target.machine.name);
            }
        }
    }
}

/// The segment of each row of a run.
fn segments(run: &Run) -> Vec<usize> {
    let segment = |n: u64| (run.segment + n * run.single) as usize;
    (0..run.count).map(segment).collect()
}

#[test]
fn few_rows_are_multiplied_on_every_machine() {
    for target in TargetInfo::ALL {
        let mut in_pieces = target;
        for encoding in Encoding::all_native() {
            in_pieces.machine.tiles.skinny_columns = encoding.block().max(32) as i64;
            let sizes: &[usize] = match encoding.block() {
                1 => &[64, 37],
                block => &[block, 2 * block],
            };
            for &k in sizes {
                // Single tokens of some sequences, then a chunk of another.
                for count in 1..=10 {
                    let single = Run {
                        first: 0,
                        count,
                        segment: 0,
                        single: 1,
                    };
                    let chunk = Run {
                        first: count,
                        count: 3,
                        segment: count,
                        single: 0,
                    };
                    check_skinny(&in_pieces, encoding, k, &[single, chunk]);
                }
            }
        }
    }
}

#[test]
fn every_encoding_is_multiplied_on_every_machine() {
    for target in &TargetInfo::ALL {
        for encoding in Encoding::all_native() {
            let sizes: &[usize] = match encoding.block() {
                1 => &[64, 1088, 7, 37],
                32 => &[64, 1088],
                _ => &[256, 1280],
            };
            for k in sizes {
                check(target, encoding, *k);
            }
        }
    }
}

/// Rows of a table are the numbers of the decoder, bit by bit.
#[test]
fn rows_of_tables_are_decoded_on_every_machine() {
    for target in &TargetInfo::ALL {
        for encoding in Encoding::all_native() {
            let mut module = Module::default();
            let name = kernels::row(&mut module, target, encoding);
            assert_eq!(verify(&module), []);
            let k = encoding.block() * if encoding.block() == 1 { 37 } else { 3 };
            let (stored, w) = weights(encoding, 1, k, &mut Random::new(7));
            let mut interpreter = Interpreter::new(&module);
            let memory = interpreter.memory();
            let stored = memory.allocate_constant("weights", stored);
            let out = memory.allocate("out", vec![0xFF; 4 * k]);
            let done = interpreter.call(&name, &[stored, k as u64, out]);
            done.unwrap_or_else(|fault| panic!("{} {fault}", target.machine.name));
            let found = interpreter.memory().bytes(out, 4 * k, 4).map(floats);
            assert_eq!(found, Ok(w), "{} {name}", target.machine.name);
        }
    }
}
