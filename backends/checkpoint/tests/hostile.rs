//! Whole, cut, bent and lying checkpoints: what is whole is read, anything else is an error and never a panic.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use seqc_checkpoint::{Checkpoint, Error, Value};
use seqc_formats::Encoding;

fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let dir = std::env::temp_dir().join(format!("seqc-checkpoint-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for temporary files");
    dir.join(format!("{}-{name}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

fn open(bytes: &[u8]) -> Result<Checkpoint, Error> {
    let path = scratch("file");
    fs::write(&path, bytes).expect("written");
    let opened = Checkpoint::open(&path);
    fs::remove_file(&path).expect("removed");
    opened
}

/// Opens and converts everything; a panic fails the test.
fn exercise(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = open(bytes) else { return false };
    for name in checkpoint.names() {
        let tensor = checkpoint.get(name).expect("a listed tensor");
        if let Ok(values) = tensor.to_f32() {
            assert_eq!(values.len(), tensor.len(), "{name}");
        }
    }
    let metadata = checkpoint.gguf();
    for key in metadata.iter().flat_map(|metadata| metadata.keys()) {
        let value = metadata.and_then(|metadata| metadata.get(key));
        if let Some(Value::Array(list)) = value {
            assert!(list.iter().count() <= bytes.len());
        }
    }
    true
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(data);
    out
}

fn small_safetensors() -> Vec<u8> {
    let header = r#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}}"#;
    let mut data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    data.extend([0x80, 0x3f, 0x00, 0x40, 0x40, 0xc0]);
    safetensors(header, &data)
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn longs(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Two keys, a list of texts, and tensors of two types.
fn small_gguf() -> Vec<u8> {
    let mut out = [&b"GGUF"[..], &words(&[3]), &longs(&[2, 3])].concat();
    out.extend([text("general.name"), words(&[8]), text("small")].concat());
    out.extend([text("some.count"), words(&[4, 7])].concat());
    out.extend(
        [
            text("some.words"),
            words(&[9, 8]),
            longs(&[2]),
            text("one"),
            text("zwölf"),
        ]
        .concat(),
    );
    out.extend([text("q"), words(&[2]), longs(&[32, 2]), words(&[2]), longs(&[0])].concat());
    out.extend([text("f"), words(&[1]), longs(&[3]), words(&[0]), longs(&[64])].concat());
    out.resize(out.len().next_multiple_of(32), 0);
    let start = out.len();
    for row in 0..2_u8 {
        out.extend([0x00, 0x3c]);
        out.extend([0x80 + row; 16]);
    }
    out.resize(start + 64, 0);
    out.extend([1.5_f32, -2.0, 0.25].iter().flat_map(|v| v.to_le_bytes()));
    out
}

#[test]
fn a_whole_safetensors_file_is_read() {
    let checkpoint = open(&small_safetensors()).expect("whole");
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    let (a, b) = (checkpoint.get("a").expect("a"), checkpoint.get("b").expect("b"));
    assert_eq!((a.encoding, &a.shape[..]), (Encoding::F32, &[2, 2][..]));
    assert_eq!(a.to_f32().expect("f32"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(b.to_f32().expect("bf16"), [1.0, 2.0, -3.0]);
    assert!(checkpoint.get("c").is_none() && checkpoint.gguf().is_none());
}

#[test]
fn a_whole_gguf_file_is_read() {
    let checkpoint = open(&small_gguf()).expect("whole");
    let metadata = checkpoint.gguf().expect("keys");
    assert_eq!(metadata.str("general.name"), Some("small"));
    assert_eq!(metadata.uint("some.count"), Some(7));
    let list = metadata.array("some.words").and_then(|list| list.strings());
    assert_eq!(list, Some(vec!["one", "zwölf"]));
    let q = checkpoint.get("q").expect("q");
    assert_eq!((q.encoding, &q.shape[..]), (Encoding::Q4_0, &[2, 32][..]));
    let values = q.to_f32().expect("q4_0");
    assert_eq!((values[0], values[16], values[32], values[48]), (-8.0, 0.0, -7.0, 0.0));
    assert_eq!(
        checkpoint.get("f").expect("f").to_f32().expect("f32"),
        [1.5, -2.0, 0.25]
    );
}

#[test]
fn every_truncation_is_refused() {
    for whole in [small_safetensors(), small_gguf()] {
        for length in 0..whole.len() {
            assert!(open(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}

#[test]
fn mutated_files_never_panic() {
    for whole in [small_safetensors(), small_gguf()] {
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bent = whole.clone();
                bent[at] ^= change;
                exercise(&bent);
            }
        }
        for at in 0..whole.len().saturating_sub(8) {
            for claim in [u64::MAX, 1 << 62, 1 << 33, 0] {
                let mut bent = whole.clone();
                bent[at..at + 8].copy_from_slice(&claim.to_le_bytes());
                exercise(&bent);
            }
        }
    }
}

#[test]
fn lying_headers_are_refused() {
    let tensor = |shape: &str, offsets: &str| {
        safetensors(
            &format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#),
            &[0; 16],
        )
    };
    assert!(open(&tensor("[4]", "[0,16]")).is_ok());
    for (shape, offsets) in [
        ("[4]", "[0,15]"),
        ("[4]", "[16,0]"),
        ("[4]", "[0,18446744073709551615]"),
        ("[18446744073709551615,4]", "[0,16]"),
        ("[-4]", "[0,16]"),
        ("[5]", "[0,20]"),
    ] {
        assert!(open(&tensor(shape, offsets)).is_err(), "{shape} {offsets}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(open(&safetensors(&deep, &[])).is_err());
}

#[test]
fn gguf_tensors_must_not_overlap_or_leave_the_file() {
    let head = |second: u64| {
        let mut out = [&b"GGUF"[..], &words(&[3]), &longs(&[2, 0])].concat();
        out.extend([text("a"), words(&[1]), longs(&[8]), words(&[0]), longs(&[0])].concat());
        out.extend([text("b"), words(&[1]), longs(&[8]), words(&[0]), longs(&[second])].concat());
        out.resize(out.len().next_multiple_of(32) + 64, 0);
        out
    };
    assert!(open(&head(32)).is_ok());
    for second in [0, 16, 64, u64::MAX - 31, u64::MAX] {
        assert!(open(&head(second)).is_err(), "{second}");
    }
}

#[test]
fn an_index_of_shards_names_files_of_its_folder() {
    let dir = scratch("shards");
    fs::create_dir_all(&dir).expect("made");
    fs::write(dir.join("one.safetensors"), small_safetensors()).expect("written");
    let index = |text: &str| {
        fs::write(dir.join("model.safetensors.index.json"), text).expect("written");
        Checkpoint::open(&dir)
    };
    let good = index(r#"{"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}}"#).expect("whole");
    assert_eq!(good.names().count(), 2);
    let deep = "[".repeat(100_000);
    for text in [
        "{}",
        "[1]",
        r#"{"weight_map": {"a": "../one.safetensors"}}"#,
        r#"{"weight_map": {"c": "one.safetensors"}}"#,
        r#"{"weight_map": {"a": "two.safetensors"}}"#,
        r#"{"weight_map": {"a": 3}}"#,
        &deep,
    ] {
        assert!(index(text).is_err(), "{text:.40}");
    }
    fs::remove_dir_all(&dir).expect("removed");
}
