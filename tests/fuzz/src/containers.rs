//! Files of tensors as bytes: small, valid, or with a number that is not what it should be.

use crate::mutate::{self, EXTREMES};
use seqc_formats::Encoding;
use seqc_ir::random::Rng;
use serde_json::{Map, Value, json};

/// Tensors by name, with their sizes.
pub(crate) type Shapes = Vec<(String, Vec<usize>)>;

/// Types of safetensors files and bytes of an element.
const SAFE: &[(&str, usize)] = &[
    ("F32", 4),
    ("F16", 2),
    ("BF16", 2),
    ("F64", 8),
    ("I64", 8),
    ("I32", 4),
    ("I16", 2),
    ("I8", 1),
    ("U8", 1),
    ("BOOL", 1),
    ("U16", 2),
    ("F8_E4M3", 1),
    ("F8_E5M2", 1),
    ("F8_E8M0", 1),
];

/// A safetensors file with all values of that type, or of any type where there is none; its header, sometimes changed.
pub(crate) fn safetensors(rng: &mut Rng, shapes: &Shapes, kind: Option<usize>) -> Vec<u8> {
    let mut header = Map::new();
    let mut data = Vec::new();
    for (name, shape) in shapes {
        // Numbers of four bits and their exponents are bytes.
        let packed = (name.ends_with("_blocks") || name.ends_with("_scales")) && !rng.once_in(8);
        let (dtype, width) = match packed {
            true => ("U8", 1),
            false => SAFE[kind.unwrap_or_else(|| rng.below(SAFE.len()))],
        };
        let start = data.len();
        let end = start + shape.iter().product::<usize>() * width;
        data.resize_with(end, || rng.bits() as u8 & 0x3f);
        header.insert(
            name.clone(),
            json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}),
        );
    }
    let mut header = Value::Object(header);
    if rng.once_in(2) {
        mutate::json(rng, &mut header);
    }
    let mut text = header.to_string();
    if rng.once_in(8) {
        // A key twice, which a JSON object of Rust's cannot have.
        text = text.replacen(
            '{',
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},",
            1,
        );
    }
    let mut out = number(rng, text.len()).to_le_bytes().to_vec();
    out.extend(text.bytes());
    out.extend(data);
    out
}

/// That number, or now and then another one.
fn number(rng: &mut Rng, right: usize) -> u64 {
    match rng.below(60) {
        0 => *rng.choose(EXTREMES),
        1 => (right as u64).wrapping_add(1),
        _ => right as u64,
    }
}

/// A value of a GGUF file.
#[derive(Clone)]
pub(crate) enum Key {
    Uint(u64),
    Int(u32),
    Float(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Ints(Vec<i32>),
}

/// Types of GGUF files whose blocks fill rows of that size, with their numbers: those that are decoded and those that are known by name only.
fn ggml(row: usize) -> Vec<(u32, Encoding)> {
    let all = (0..64).filter_map(|number| Some((number, Encoding::of_ggml(number)?)));
    all.filter(|(_, encoding)| row.is_multiple_of(encoding.block()))
        .collect()
}

/// A GGUF file; its numbers are now and then others, its keys missing or there twice.
pub(crate) fn gguf(rng: &mut Rng, keys: &[(String, Key)], shapes: &Shapes) -> Vec<u8> {
    let mut kept = Vec::new();
    for key in keys {
        let copies = match rng.below(80) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        kept.extend(std::iter::repeat_n(key, copies));
    }
    let mut out = b"GGUF".to_vec();
    let version: u32 = if rng.once_in(8) { 2 } else { 3 };
    out.extend(version.to_le_bytes());
    out.extend(number(rng, shapes.len()).to_le_bytes());
    out.extend(number(rng, kept.len()).to_le_bytes());
    for (name, key) in kept {
        push_text(rng, &mut out, name);
        push_key(rng, &mut out, key);
    }
    let mut data = Vec::new();
    for (name, shape) in shapes {
        let fits = ggml(shape.last().copied().unwrap_or(1));
        let &(kind, encoding) = rng.choose(&fits);
        push_text(rng, &mut out, name);
        out.extend((number(rng, shape.len()) as u32).to_le_bytes());
        for size in shape.iter().rev() {
            out.extend(number(rng, *size).to_le_bytes());
        }
        out.extend((number(rng, kind as usize) as u32).to_le_bytes());
        out.extend(number(rng, data.len()).to_le_bytes());
        let end = data.len() + shape.iter().product::<usize>() / encoding.block() * encoding.block_bytes();
        data.resize_with(end.next_multiple_of(32), || rng.bits() as u8);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

fn push_text(rng: &mut Rng, out: &mut Vec<u8>, text: &str) {
    out.extend(number(rng, text.len()).to_le_bytes());
    out.extend(text.bytes());
}

fn push_key(rng: &mut Rng, out: &mut Vec<u8>, key: &Key) {
    let kind: u32 = match key {
        Key::Uint(_) => 10,
        Key::Int(_) => 4,
        Key::Float(_) => 6,
        Key::Bool(_) => 7,
        Key::Text(_) => 8,
        Key::Texts(_) | Key::Floats(_) | Key::Ints(_) => 9,
    };
    out.extend((number(rng, kind as usize) as u32).to_le_bytes());
    match key {
        Key::Uint(value) => out.extend(value.to_le_bytes()),
        Key::Int(value) => out.extend(value.to_le_bytes()),
        Key::Float(value) => out.extend(value.to_le_bytes()),
        Key::Bool(value) => out.push(u8::from(*value)),
        Key::Text(text) => push_text(rng, out, text),
        Key::Texts(texts) => {
            push_list(rng, out, 8, texts.len());
            texts.iter().for_each(|text| push_text(rng, out, text));
        }
        Key::Floats(values) => {
            push_list(rng, out, 6, values.len());
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Key::Ints(values) => {
            push_list(rng, out, 5, values.len());
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
}

fn push_list(rng: &mut Rng, out: &mut Vec<u8>, kind: u32, len: usize) {
    out.extend((number(rng, kind as usize) as u32).to_le_bytes());
    out.extend(number(rng, len).to_le_bytes());
}
