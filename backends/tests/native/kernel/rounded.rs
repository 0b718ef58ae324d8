//! Products with rounded activations under the interpreter, for machines that this one may not be.

use super::weights::{bytes, deviation, floats};
use crate::{
    rounded::{rounded, rounding},
    support::{Random, weights},
};
use seqc_backends::{
    kernel::{Module, Space, interpret::Interpreter, verify::verify},
    kernels::{self, GemmRows, RowForm, RowLayout},
    targets::TargetInfo,
};
use seqc_formats::Encoding;

const ROWS: usize = 21;
const TOKENS: usize = 7;

fn check(target: &TargetInfo, encoding: Encoding, k: usize) {
    let Some(rounding) = rounding(encoding) else { return };
    let form = RowForm::of(target, rounding, encoding);
    let layout = RowLayout {
        rows: GemmRows::Together,
        form,
        units: kernels::Units::Vectors,
    };
    let what = format!("{} {encoding} {form:?} k {k}", target.machine.name);
    let mut module = Module::default();
    let round = kernels::round_row(&mut module, target, rounding, form);
    let multiply = kernels::gemm(&mut module, target, encoding, k, layout);
    let of_vector = RowForm::of_vector(target, rounding, encoding);
    let vector = (form == of_vector).then(|| kernels::gemv(&mut module, target, encoding, of_vector));
    assert_eq!(verify(&module), [], "{what}");
    let mut random = Random::new(7);
    let (stored, w) = weights(encoding, ROWS, k, &mut random);
    let x = random.floats(TOKENS * k);
    let mut interpreter = Interpreter::new(&module);
    let memory = interpreter.memory();
    let (stored, input) = (
        memory.allocate_constant("weights", stored),
        memory.allocate_constant("x", bytes(&x)),
    );
    let stride = k.next_multiple_of(2);
    let made = memory.allocate("rounded", vec![0xFF; 4 * TOKENS * stride]);
    let out = memory.allocate("y", vec![0xFF; 4 * TOKENS * ROWS]);
    let scratch = vec![0xFF; kernels::gemm_scratch_bytes(&target.machine, TOKENS)];
    let scratch = memory.allocate_in(Space::Scratch, "scratch", scratch);
    let mut call = |name: &str, args: &[u64]| {
        let done = interpreter.call(name, args);
        done.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    };
    for t in 0..TOKENS {
        let (from, to) = (input + 4 * (t * k) as u64, made + 4 * (t * stride) as u64);
        call(&round, &[from, k as u64, to]);
    }
    let (rows, tokens) = (ROWS as u64, TOKENS as u64);
    call(
        &multiply,
        &[stored, rows, made, stride as u64, out, rows, tokens, scratch],
    );
    if let Some(vector) = vector {
        // The first token again.
        let row_bytes = encoding.row_bytes(k).unwrap_or(0) as u64;
        call(&vector, &[stored, row_bytes, rows, made, k as u64, out]);
    }
    let found = interpreter.memory().bytes(out, 4 * TOKENS * ROWS, 4).map(floats);
    let found = found.unwrap_or_else(|message| panic!("{message}"));
    for (t, x) in x.chunks(k).enumerate() {
        let x = rounded(rounding, x);
        for (r, w) in w.chunks(k).enumerate() {
            let off = deviation(found[t * ROWS + r], w, &x);
            assert!(off < 1e-5, "{what}: row {r} of token {t} is off by {off}");
        }
    }
}

#[test]
fn rounded_rows_are_multiplied_on_every_machine() {
    // All forms, and vectors of all widths.
    for target in TargetInfo::ALL
        .into_iter()
        .filter(|target| target.machine.panel_rows() >= ROWS)
    {
        for encoding in Encoding::all_native() {
            let sizes: &[usize] = if encoding.block() == 1 {
                &[33, 70]
            } else {
                &[encoding.block()]
            };
            for k in sizes {
                check(&target, encoding, *k);
            }
        }
    }
}
