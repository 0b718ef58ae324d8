//! Checkpoints in several files, files of other kinds under the name of weights, and companions of quantised weights.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use seqc_checkpoint::{Checkpoint, Error};
use seqc_formats::Encoding;

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("seqc-parts-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for temporary files");
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(opened: Result<Checkpoint, Error>) -> String {
    match opened {
        Ok(_) => panic!("should be refused"),
        Err(error) => error.to_string(),
    }
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A file with one tensor of four numbers.
fn one(name: &str, dtype: &str, bytes: usize) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":[4],"data_offsets":[0,{bytes}]}}}}"#);
    safetensors(&header, &vec![0; bytes])
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn key(name: &str, value: u32) -> Vec<u8> {
    [text(name), 4_u32.to_le_bytes().to_vec(), value.to_le_bytes().to_vec()].concat()
}

/// A part of a split GGUF with one tensor of eight numbers.
fn part(number: u32, count: u32, all: u32, tensor: &str) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend([1_u64.to_le_bytes(), 3_u64.to_le_bytes()].concat());
    out.extend(key("split.no", number));
    out.extend(key("split.count", count));
    out.extend(key("split.tensors.count", all));
    out.extend([text(tensor), 1_u32.to_le_bytes().to_vec(), 8_u64.to_le_bytes().to_vec()].concat());
    out.extend([&0_u32.to_le_bytes()[..], &0_u64.to_le_bytes()].concat());
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend([number as f32 + 1.0; 8].iter().flat_map(|v| v.to_le_bytes()));
    out
}

fn first_number(checkpoint: &Checkpoint, name: &str) -> f32 {
    checkpoint.get(name).expect(name).to_f32().expect("f32")[0]
}

#[test]
fn any_part_of_a_split_gguf_opens_all_of_them() {
    let folder = Folder::new();
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    let paths: Vec<PathBuf> = (0..2)
        .map(|n| folder.write(names[n], &part(n as u32, 2, 2, ["a", "b"][n])))
        .collect();
    for path in &paths {
        let opened = Checkpoint::open(path).expect("both parts");
        assert_eq!(opened.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((first_number(&opened, "a"), first_number(&opened, "b")), (1.0, 2.0));
        assert_eq!(opened.gguf().and_then(|keys| keys.uint("split.no")), Some(0));
    }
}

#[test]
fn a_split_gguf_says_what_it_lacks() {
    let folder = Folder::new();
    let lone = folder.write("m-00001-of-00003.gguf", &part(0, 3, 3, "a"));
    let text = said(Checkpoint::open(&lone));
    assert!(
        text.contains("part 1 of 3") && text.contains("m-00002-of-00003.gguf"),
        "{text}"
    );
    assert!(text.contains("nor are 1 more"), "{text}");
    let renamed = folder.write("model.gguf", &part(1, 3, 3, "a"));
    let text = said(Checkpoint::open(&renamed));
    assert!(text.contains("part 2 of 3 (split.count)"), "{text}");
    folder.write("n-00001-of-00002.gguf", &part(0, 2, 2, "a"));
    let twice = folder.write("n-00002-of-00002.gguf", &part(1, 2, 2, "a"));
    assert!(said(Checkpoint::open(&twice)).contains("tensor `a` is in two files"));
    folder.write("n-00002-of-00002.gguf", &part(0, 2, 2, "b"));
    assert!(said(Checkpoint::open(&twice)).contains("by its name this is part 2 of 2"));
    folder.write("n-00002-of-00002.gguf", &part(1, 2, 9, "b"));
    folder.write("n-00001-of-00002.gguf", &part(0, 2, 9, "a"));
    assert!(said(Checkpoint::open(&twice)).contains("the parts hold 2 tensors"));
    folder.write("n-00002-of-00002.gguf", &one("b", "F32", 16));
    assert!(said(Checkpoint::open(folder.0.join("n-00001-of-00002.gguf"))).contains("not a GGUF file"));
    let many = folder.write("x-00001-of-99999.gguf", &part(0, 99_999, 2, "a"));
    assert!(said(Checkpoint::open(&many)).contains("at most"));
}

#[test]
fn changed_parts_never_panic() {
    let folder = Folder::new();
    let whole = [part(0, 2, 2, "a"), part(1, 2, 2, "b")];
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    for (bent, path) in names.iter().enumerate() {
        let other = folder.write(names[1 - bent], &whole[1 - bent]);
        for at in 0..whole[bent].len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole[bent].clone();
                bytes[at] ^= change;
                folder.write(path, &bytes);
                if let Ok(opened) = Checkpoint::open(&other) {
                    let all: usize = opened
                        .names()
                        .filter_map(|n| opened.get(n))
                        .map(|t| t.bytes.len())
                        .sum();
                    assert!(all <= opened.file_bytes());
                }
            }
            folder.write(path, &whole[bent][..at]);
            assert!(Checkpoint::open(&other).is_err(), "{at} bytes of {path}");
        }
    }
}

#[test]
fn shards_open_together_without_an_index() {
    let folder = Folder::new();
    let first = folder.write("model-00001-of-00002.safetensors", &one("a", "F32", 16));
    let text = said(Checkpoint::open(&first));
    assert!(
        text.contains("part 1 of 2") && text.contains("model-00002-of-00002.safetensors"),
        "{text}"
    );
    folder.write("model-00002-of-00002.safetensors", &one("b", "F32", 16));
    let opened = Checkpoint::open(&first).expect("both shards");
    assert_eq!(opened.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn other_files_are_recognised() {
    let folder = Folder::new();
    let whole = one("a", "F32", 16);
    let more = [&whole[..], &[0; 3]].concat();
    let big_endian = [&b"GGUF"[..], &3_u32.to_be_bytes(), &[0; 40]].concat();
    for (bytes, says) in [
        (
            &b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"[..],
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04 and so on", "PyTorch"),
        (&whole[..whole.len() - 7], "7 bytes short of what its header says"),
        (&whole[..20], "bytes short of what its header says"),
        (&more, "3 bytes follow"),
        (&big_endian, "big-endian"),
        (
            &one("a", "F128", 64),
            "tensor `a` is stored as F128, which cannot be read; f32, f16",
        ),
    ] {
        let path = folder.write("model.safetensors", bytes);
        let text = said(Checkpoint::open(&path));
        assert!(text.contains(says), "{text}");
    }
    let index = folder.write(
        "model.safetensors.index.json",
        b"version https://git-lfs.github.com/spec/v1\n",
    );
    assert!(said(Checkpoint::open(&index)).contains("git lfs pull"));
}

#[test]
fn integers_and_unknown_types_are_no_weights() {
    for (dtype, bytes, says) in [
        ("F8_E8M0", 4, "is stored as f8_e8m0, which cannot be read"),
        ("I8", 4, "is stored as i8, integers"),
        ("U8", 4, "is stored as u8, integers"),
        ("I32", 16, "is stored as i32, integers"),
        ("BOOL", 4, "is stored as bool, integers"),
    ] {
        let folder = Folder::new();
        let opened = Checkpoint::open(folder.write("w.safetensors", &one("w", dtype, bytes))).expect(dtype);
        let found: Encoding = opened.get("w").expect("w").encoding;
        let text = found.refusal().expect(dtype);
        assert!(text.contains(says) && text.contains("q8_0"), "{text}");
    }
    assert_eq!(Encoding::Bf16.refusal(), None);
}

#[test]
fn companions_are_told_from_parameters() {
    let names = [
        "q.weight",
        "q.weight_scale",
        "q.input_scale",
        "k.qweight",
        "k.qzeros",
        "v.weight",
        "v.SCB",
        "o.weight",
        "o.weight_scale_inv",
        "m.weight.absmax",
        "m.weight.quant_state.bitsandbytes__nf4",
        "e_blocks",
        "e_scales",
        "logit_scale",
        "norm.scale",
        "q.bias",
    ];
    let entries: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            format!(
                r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#,
                4 * n,
                4 * n + 4
            )
        })
        .collect();
    let folder = Folder::new();
    let bytes = safetensors(&format!("{{{}}}", entries.join(",")), &vec![0; 4 * names.len()]);
    let opened = Checkpoint::open(folder.write("w.safetensors", &bytes)).expect("whole");
    let unread = names.iter().copied().filter(|name| !name.ends_with(".weight"));
    let expected = [
        "q.weight_scale",
        "q.input_scale",
        "k.qweight",
        "k.qzeros",
        "v.SCB",
        "o.weight_scale_inv",
        "m.weight.absmax",
        "m.weight.quant_state.bitsandbytes__nf4",
        "e_scales",
    ];
    assert_eq!(opened.companions(unread), expected);
}

#[cfg(unix)]
#[test]
fn devices_are_never_read() {
    let folder = Folder::new();
    for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
        assert!(Checkpoint::open(Path::new(device)).is_err(), "{device}");
        for name in [
            "model.safetensors.index.json",
            "model.gguf",
            "m-00001-of-00002.safetensors",
        ] {
            let link = folder.0.join(name);
            std::os::unix::fs::symlink(device, &link).expect("a link");
            assert!(Checkpoint::open(&link).is_err(), "{device} as {name}");
            fs::remove_file(&link).expect("removed");
        }
    }
}
