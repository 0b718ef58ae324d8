//! Numbers of four bits with their exponents in a tensor of their own.

use std::fs;

use seqc_checkpoint::{Checkpoint, base};
use seqc_formats::Encoding;

/// Two matrices of two rows of two blocks; byte n of the numbers holds `n` and its complement.
fn checkpoint(name: &str, scales: &[usize]) -> Checkpoint {
    let numbers: Vec<u8> = (0..128).map(|n| (n % 16) | ((15 - n % 16) << 4)).collect();
    let exponents: Vec<u8> = (0..8).map(|n| 125 + n).collect();
    let header = format!(
        r#"{{"w_blocks":{{"dtype":"U8","shape":[2,2,2,16],"data_offsets":[0,128]}},"w_scales":{{"dtype":"U8","shape":{scales:?},"data_offsets":[128,136]}}}}"#
    );
    let path = std::env::temp_dir().join(format!("seqc-blocks-{}-{name}.safetensors", std::process::id()));
    let bytes = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &numbers,
        &exponents,
    ]
    .concat();
    fs::write(&path, bytes).expect("written");
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    fs::remove_file(path).expect("removed");
    checkpoint
}

/// The number of an entry, by the definition of the format.
fn number(at: usize) -> f32 {
    const LEVELS: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let byte = at / 2 % 16;
    let code = if at.is_multiple_of(2) { byte } else { 15 - byte };
    let sign = if code < 8 { 1.0 } else { -1.0 };
    sign * LEVELS[code % 8] * 2_f32.powi((at / 32) as i32 - 2)
}

#[test]
fn blocks_and_exponents_are_one_tensor() {
    let checkpoint = checkpoint("whole", &[2, 2, 2]);
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["w"]);
    let read = |reference: &str| {
        let tensor = checkpoint.get(reference).expect("a tensor");
        assert_eq!((base(reference), tensor.encoding), ("w", Encoding::Mxfp4));
        let values = tensor.to_f32().expect("numbers");
        if !tensor.transposed {
            let (mut stored, mut decoded) = (Vec::new(), Vec::new());
            tensor.each_stored(|bytes| stored.extend_from_slice(bytes));
            assert!(tensor.encoding.decode(&stored, &mut decoded) && !tensor.in_place());
            assert_eq!((stored.len(), decoded), (tensor.stored_bytes(), values.clone()));
        }
        (tensor.shape, values)
    };
    let all: Vec<f32> = (0..256).map(number).collect();
    assert_eq!(read("w"), (vec![2, 2, 64], all.clone()));
    assert_eq!(read("w|rows 1..2"), (vec![1, 2, 64], all[128..].to_vec()));
    let turned = (0..2).flat_map(|m| (0..64).flat_map(move |j| (0..2).map(move |i| number(128 * m + 64 * i + j))));
    assert_eq!(read("w|transpose"), (vec![2, 64, 2], turned.collect()));
}

#[test]
fn what_does_not_fit_stays_two_tensors() {
    let checkpoint = checkpoint("apart", &[2, 4]);
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["w_blocks", "w_scales"]);
    assert_eq!(checkpoint.companions(checkpoint.names()), ["w_scales"]);
}
