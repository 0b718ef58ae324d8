//! Products of small matrices of bfloat16: what their lanes are, and what is no such product.

use seqc_kernel::{Func, Intrinsic, Module, Scalar, Ty, Val, interpret::Interpreter, verify::verify};

/// A function that writes what `body` makes of numbers to its parameter.
fn module(body: impl FnOnce(&mut Func) -> Val) -> Module {
    let mut f = Func::new("f", &[Ty::GLOBAL], None);
    let value = body(&mut f);
    let out = f.param(0);
    f.store(value, out);
    let mut module = Module::default();
    module.add(f);
    module
}

fn numbers(body: impl FnOnce(&mut Func) -> Val, count: usize) -> Vec<u32> {
    let module = module(body);
    assert_eq!(verify(&module), []);
    let mut interpreter = Interpreter::new(&module);
    let out = interpreter.memory().allocate("out", vec![0xFF; 4 * count]);
    let done = interpreter.call("f", &[out]);
    done.unwrap_or_else(|fault| panic!("{fault}"));
    let bytes = interpreter.memory().bytes(out, 4 * count, 4).map(<[u8]>::to_vec);
    let bytes = bytes.unwrap_or_else(|message| panic!("{message}"));
    let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    bytes.chunks_exact(4).map(word).collect()
}

/// An entry of the first factor, of the second one and of what is added to: small integers, which are exact.
fn a(row: usize, k: usize) -> f32 {
    ((3 * row + 7 * k) % 11) as f32 - 5.0
}

fn b(k: usize, column: usize) -> f32 {
    ((5 * column + 2 * k) % 13) as f32 - 6.0
}

fn c(row: usize, column: usize) -> f32 {
    (8 * row + column) as f32
}

/// Two numbers as the bfloat16 that they are.
fn pair(first: f32, second: f32) -> i64 {
    let [first, second] = [first, second].map(|x| x.to_bits() >> 16);
    i64::from((first | second << 16) as i32)
}

#[test]
fn matrices_are_multiplied() {
    let lane = |l: usize| (l / 32, l % 32 / 4, l % 4);
    let found = numbers(
        |f| {
            let sums: Vec<f32> = (0..128)
                .map(lane)
                .map(|(n, i, j)| c(i + 8 * (n / 2), 2 * j + n % 2))
                .collect();
            let sums = f.float_lanes(&sums);
            let first: Vec<i64> = (0..128)
                .map(lane)
                .map(|(n, i, j)| (i + 8 * (n % 2), 2 * j + 8 * (n / 2)))
                .map(|(row, k)| pair(a(row, k), a(row, k + 1)))
                .collect();
            let second: Vec<i64> = (0..64)
                .map(lane)
                .map(|(n, i, j)| (2 * j + 8 * n, i))
                .map(|(k, column)| pair(b(k, column), b(k + 1, column)))
                .collect();
            let (first, second) = (f.lanes(Scalar::I32, &first), f.lanes(Scalar::I32, &second));
            f.intrinsic(Intrinsic::MatrixBf16, &[sums, first, second])
        },
        128,
    );
    for (l, found) in found.into_iter().enumerate() {
        let (n, i, j) = lane(l);
        let (row, column) = (i + 8 * (n / 2), 2 * j + n % 2);
        let product: f32 = (0..16).map(|k| a(row, k) * b(k, column)).sum();
        assert_eq!(
            f32::from_bits(found),
            c(row, column) + product,
            "row {row}, column {column}"
        );
    }
}

#[test]
fn pairs_are_rounded_to_the_nearest_ties_to_even() {
    let found = numbers(
        |f| {
            let (a, b) = (
                f.float_lanes(&[1.0, 257.0 / 256.0]),
                f.float_lanes(&[-2.0, 259.0 / 256.0]),
            );
            f.round_pairs(a, b)
        },
        2,
    );
    assert_eq!(found, [0xC000_3F80, 0x3F82_3F80]);
}

#[test]
fn products_of_other_lanes_are_refused() {
    let broken = module(|f| {
        let (sums, words) = (f.zero(Ty::V(64, Scalar::F32)), f.zero(Ty::V(64, Scalar::I32)));
        f.intrinsic(Intrinsic::MatrixBf16, &[sums, words, words])
    });
    let laws: Vec<u8> = verify(&broken).into_iter().map(|v| v.law).collect();
    assert_eq!(laws, [8]);
    let broken = module(|f| {
        let words = f.zero(Ty::V(4, Scalar::I32));
        f.round_pairs(words, words)
    });
    let laws: Vec<u8> = verify(&broken).into_iter().map(|v| v.law).collect();
    assert_eq!(laws, [8]);
}
