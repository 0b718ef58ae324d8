//! Numbers of eight bits with factors that lie in a tensor of their own.

use std::{fs, path::PathBuf};

use seqc_checkpoint::Checkpoint;
use seqc_formats::Encoding;

/// A file of this test.
fn file(name: &str, tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> PathBuf {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend(bytes);
        let end = data.len();
        header.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    let path = std::env::temp_dir().join(format!("seqc-scales-{}-{name}.safetensors", std::process::id()));
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    fs::write(&path, bytes).expect("written");
    path
}

fn reals(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Factors with their shape.
#[derive(Clone, Copy)]
struct Factors<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

fn factors<'a>(shape: &'a [usize], values: &'a [f32]) -> Factors<'a> {
    Factors { shape, values }
}

/// What a tensor, or a part of one, holds, beside a weight `w` of ones of that shape with these factors.
fn read(name: &str, shape: &[usize], factors: Factors<'_>, reference: &str) -> Vec<f32> {
    // 1.0 of f8_e4m3.
    let ones = vec![0x38; shape.iter().product()];
    let scales = ("w_scale_inv", "F32", factors.shape, reals(factors.values));
    let path = file(name, &[("w", "F8_E4M3", shape, ones), scales]);
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    let found = checkpoint.get(reference).expect("a tensor").to_f32().expect("numbers");
    fs::remove_file(path).expect("removed");
    found
}

#[test]
fn each_block_has_its_factor() {
    let shape = [130, 260];
    let factors = factors(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let at = |i: usize, j: usize| factors.values[i / 128 * 3 + j / 128];
    let rows = |from: usize, to: usize| -> Vec<f32> {
        let rows = (from..to).flat_map(|i| (0..260).map(move |j| at(i, j)));
        rows.collect()
    };
    assert_eq!(read("whole", &shape, factors, "w"), rows(0, 130));
    assert_eq!(read("rows", &shape, factors, "w|rows 127..130"), rows(127, 130));
    let turned: Vec<f32> = (0..260).flat_map(|j| (0..130).map(move |i| at(i, j))).collect();
    assert_eq!(read("turned", &shape, factors, "w|transpose"), turned);
    assert_eq!(read("part", &shape, factors, "w|rows 128..130|transpose").len(), 520);
}

#[test]
fn factors_of_rows_stacks_and_all_are_read() {
    let rows = read("each", &[3, 2], factors(&[3, 1], &[1.0, 2.0, 3.0]), "w");
    assert_eq!(rows, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    for shape in [&[][..], &[1], &[1, 1]] {
        assert_eq!(read("all", &[2, 2], factors(shape, &[7.0]), "w"), [7.0; 4], "{shape:?}");
    }
    let stack = factors(&[3, 1, 1], &[1.0, 2.0, 3.0]);
    assert_eq!(read("stack", &[3, 1, 2], stack, "w"), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    assert_eq!(read("second", &[3, 1, 2], stack, "w|rows 1..3"), [2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn large_tensors_are_converted_in_pieces() {
    let (height, width) = (640, 256);
    let values: Vec<f32> = (0..10_u8).map(f32::from).collect();
    let found = read("large", &[height, width], factors(&[5, 2], &values), "w");
    let right = |(n, value): (usize, &f32)| *value == values[n / width / 128 * 2 + n % width / 128];
    assert!(found.len() == height * width && found.iter().enumerate().all(right));
}

#[test]
fn what_does_not_fit_stays_a_tensor_of_its_own() {
    let wide = ("w", "F8_E4M3", &[416, 256][..], vec![0x38; 416 * 256]);
    let path = file("few", &[wide, ("w_scale_inv", "F32", &[1, 2], reals(&[1.0, 2.0]))]);
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    assert_eq!(checkpoint.without_factors().collect::<Vec<_>>(), ["w"]);
    fs::remove_file(path).expect("removed");
    let cases: [(&str, &str, &[usize]); 4] = [
        ("shape", "F8_E4M3", &[2, 2]),
        ("rows", "F8_E4M3", &[3]),
        ("owner", "F32", &[1]),
        ("missing", "I8", &[1]),
    ];
    for (name, dtype, shape) in cases {
        let width = if dtype == "F32" { 4 } else { 1 };
        let factors = reals(&vec![1.0; shape.iter().product()]);
        let owner = ("w", dtype, &[3, 4][..], vec![0; 12 * width]);
        let path = file(name, &[owner, ("w_scale_inv", "F32", shape, factors)]);
        let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
        assert!(checkpoint.get("w_scale_inv").is_some(), "{name}");
        assert_eq!(checkpoint.companions(checkpoint.names()), ["w_scale_inv"], "{name}");
        fs::remove_file(path).expect("removed");
    }
}

/// What a copy of such a tensor holds, as its encoding decodes it.
fn copied(name: &str, shape: &[usize], factors: Factors<'_>, reference: &str) -> (Encoding, Vec<f32>) {
    let numbers = (0..shape.iter().product::<usize>()).map(|n| (n * 7 % 127) as u8 | ((n % 2) << 7) as u8);
    let scales = ("w_scale_inv", "F32", factors.shape, reals(factors.values));
    let path = file(name, &[("w", "F8_E4M3", shape, numbers.collect()), scales]);
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    let tensor = checkpoint.get(reference).expect("a tensor");
    let (mut bytes, mut found) = (Vec::new(), Vec::new());
    tensor.each_stored(|piece| bytes.extend_from_slice(piece));
    assert_eq!((bytes.len(), &bytes[..]), (tensor.stored_bytes(), &tensor.stored()[..]));
    if tensor.copied_encoding().block() > 1 {
        assert!(tensor.copied_encoding().decode(&bytes, &mut found) && !tensor.in_place());
        assert_eq!(found, tensor.to_f32().expect("numbers"), "{name}");
    }
    fs::remove_file(path).expect("removed");
    (tensor.copied_encoding(), found)
}

#[test]
fn copies_have_blocks_with_the_factor_of_their_place() {
    let blocks = factors(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (encoding, whole) = copied("copied", &[130, 288], blocks, "w");
    assert_eq!((encoding.name(), whole.len()), ("f8_e4m3_32", 130 * 288));
    let (_, rows) = copied("copied-rows", &[130, 288], blocks, "w|rows 127..130");
    assert_eq!(rows, whole[127 * 288..]);
    // Many pieces.
    copied("copied-large", &[640, 256], factors(&[5, 2], &[0.5; 10]), "w");
    copied("copied-each", &[3, 64], factors(&[3, 1], &[1.0, 2.0, 3.0]), "w");
    copied(
        "copied-stack",
        &[3, 1, 32],
        factors(&[3, 1, 1], &[1.0, 2.0, 3.0]),
        "w|rows 1..3",
    );
}

#[test]
fn rows_that_are_no_whole_blocks_stay_numbers() {
    for (name, shape, values, reference) in [
        ("narrow", [2, 33], &[1.0][..], "w"),
        ("turned", [32, 64], &[1.0], "w|transpose"),
        ("columns", [2, 64], &[1.0; 64], "w"),
    ] {
        let (encoding, _) = copied(name, &shape, factors(&[1, values.len()], values), reference);
        assert_eq!(encoding.name(), "f8_e4m3", "{name}");
    }
}
