//! Products with stored weights under the interpreter, for machines that this one may not be.

use crate::support::{Random, weights};
use seqc_backends::{
    kernel::{Module, Space, interpret::Interpreter, verify::verify},
    kernels,
    targets::TargetInfo,
};
use seqc_formats::Encoding;

const ROWS: usize = 21;
const TOKENS: usize = 3;

/// Names of the functions that multiply, and whether they take several tokens.
fn products(module: &mut Module, target: &TargetInfo, encoding: Encoding, k: usize) -> [(String, bool); 3] {
    [
        (kernels::gemv(module, target, encoding), false),
        (kernels::gemv_in_order(module, target.machine.lanes, encoding), false),
        (
            kernels::gemm(module, target, encoding, k, kernels::GemmRows::Together),
            true,
        ),
    ]
}

fn bytes(values: &[f32]) -> Vec<u8> {
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
        for (at, found) in found.chunks_exact(4).enumerate() {
            let (t, r) = (at / rows, at % rows);
            let pairs = w[r * k..][..k].iter().zip(&x[t * k..][..k]);
            let (mut want, mut scale) = (0.0, 1e-3);
            for (w, x) in pairs {
                want += f64::from(*w) * f64::from(*x);
                scale += (f64::from(*w) * f64::from(*x)).abs();
            }
            let found = f64::from(f32::from_le_bytes([found[0], found[1], found[2], found[3]]));
            let off = (found - want).abs() / scale;
            assert!(
                off < 1e-5,
                "{} {name} k {k}: row {r} of token {t} is {found}, not {want}",
                machine.name
            );
        }
    }
}

#[test]
fn every_encoding_is_multiplied_on_every_machine() {
    for target in &TargetInfo::ALL {
        for encoding in Encoding::all_native() {
            for k in [64, 1088, 7, 37] {
                if k % encoding.block() == 0 {
                    check(target, encoding, k);
                }
            }
        }
    }
}
