//! Tensors that programs convert when they load them: every number arrives at its place.

use std::{collections::HashMap, fs};

use safetensors::{Dtype, serialize, tensor::TensorView};
use seqc_tests::{
    program::{Program, Way},
    scratch,
};

/// Several pieces, as programs convert them, and a part of one.
const ROWS: usize = 3 * 512 + 7;
const WIDTH: usize = 128;

const MODEL: &str = "version: 1
model: converted
sizes: {d: 128, vocab: 1543}
weights: {file: weights.safetensors}
stack:
  - embed: {vocab: vocab}
    block: none
    load: {weight: e}
  - head: {vocab: vocab}
    block: none
    load: {weight: h}
";

/// Logits of token `t` are column `t` of the head, as the embedding is the identity.
#[test]
fn numbers_of_large_tensors_keep_their_places() {
    let dir = scratch("conversions");
    let of = |n: usize| (n % 9973) as f64;
    let identity: Vec<u8> = (0..ROWS * WIDTH)
        .flat_map(|n| f32::from(u8::from(n / WIDTH == n % WIDTH)).to_le_bytes())
        .collect();
    let head: Vec<u8> = (0..ROWS * WIDTH).flat_map(|n| of(n).to_le_bytes()).collect();
    let view =
        |ty: Dtype, bytes| TensorView::new(ty, vec![ROWS, WIDTH], bytes).unwrap_or_else(|error| panic!("{error}"));
    let views = HashMap::from([("e", view(Dtype::F32, &identity)), ("h", view(Dtype::F64, &head))]);
    let weights = serialize(views, None).unwrap_or_else(|error| panic!("{error}"));
    for (file, bytes) in [("model.yaml", MODEL.as_bytes()), ("weights.safetensors", &weights)] {
        fs::write(dir.join(file), bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let program = Program::build(&dir.join("model.yaml"), &dir.join("program"));
    for t in [0, 1, WIDTH - 1] {
        let found = program.logits(&[t as i64], Way::default());
        let wanted: Vec<f32> = (0..ROWS).map(|row| of(row * WIDTH + t) as f32).collect();
        assert_eq!(found.data, wanted, "column {t}");
    }
}
