//! Checkpoints: files with numbers and bytes that are not what they should be are refused, or all of their tensors are read.

use crate::{
    containers::{self, Key, Shapes},
    ending::{Ending, put},
    mutate,
};
use seqc_checkpoint::Checkpoint;
use seqc_ir::random::Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One case.
pub(crate) fn case(rng: &mut Rng, dir: &Path) -> Ending {
    let parts = if rng.once_in(3) { 2 + rng.below(2) } else { 1 };
    let path = match rng.below(2) {
        0 => safetensors(rng, dir, parts)?,
        _ => gguf(rng, dir, parts)?,
    };
    let Ok(checkpoint) = Checkpoint::open(&path).map_err(|error| error.to_string()) else {
        return Ok("refused");
    };
    if let Some(keys) = checkpoint.gguf() {
        for key in keys.keys() {
            if keys.get(key).is_none() {
                return Err(format!("the key `{key}` is listed and not there"));
            }
            if let Some(list) = keys.array(key) {
                list.strings();
                list.iter().for_each(drop);
            }
        }
    }
    for name in checkpoint.names() {
        let Some(tensor) = checkpoint.get(name) else {
            return Err(format!("the tensor `{name}` is listed and not there"));
        };
        match tensor.to_f32() {
            Ok(values) if values.len() != tensor.len() => {
                return Err(format!("`{name}` has {} values, not {}", values.len(), tensor.len()));
            }
            Ok(_) => {}
            Err(error) => drop(error.to_string()),
        }
    }
    Ok("read")
}

/// A few tensors of one of the parts.
fn shapes(rng: &mut Rng, part: usize) -> Shapes {
    let sizes = [1, 2, 3, 32, 64, 256, 512];
    let tensor = |rng: &mut Rng, number: usize| {
        let axes = rng.below(4);
        let mut shape: Vec<usize> = (0..axes).map(|_| 1 + rng.below(3)).collect();
        if let Some(last) = shape.last_mut() {
            *last = *rng.choose(&sizes);
        }
        // Now and then a name that another part has too.
        let part = if rng.once_in(30) { 0 } else { part };
        (format!("part{part}.t{number}"), shape)
    };
    let tensors: Shapes = (0..1 + rng.below(4)).map(|number| tensor(rng, number)).collect();
    // Now and then factors beside a tensor, which fit it or not.
    let factors = tensors.iter().filter(|_| rng.once_in(3)).map(|(name, shape)| {
        let blocks = shape.iter().map(|size| size.div_ceil(128)).collect();
        (format!("{name}_scale_inv"), blocks)
    });
    let factors: Shapes = factors.collect();
    // Now and then numbers of four bits with their exponents, of which there is one too few or too many.
    let mut packed = Shapes::new();
    if rng.once_in(3) {
        let (rows, blocks) = (1 + rng.below(3), 1 + rng.below(3));
        let exponents = if rng.once_in(4) { rng.below(5) } else { blocks };
        let name = format!("part{part}.packed");
        packed.push((
            format!("{name}_blocks"),
            vec![rows, blocks, *rng.choose(&[16, 16, 16, 8])],
        ));
        packed.push((format!("{name}_scales"), vec![rows, exponents]));
    }
    tensors.into_iter().chain(factors).chain(packed).collect()
}

fn safetensors(rng: &mut Rng, dir: &Path, parts: usize) -> Result<PathBuf, String> {
    let mut listed = serde_json::Map::new();
    let mut first = None;
    for part in 0..parts {
        let name = match parts {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{parts:05}.safetensors", part + 1),
        };
        let shapes = shapes(rng, part);
        listed.extend(
            shapes
                .iter()
                .map(|(tensor, _)| (tensor.clone(), Value::from(name.clone()))),
        );
        let mut bytes = containers::safetensors(rng, &shapes, None);
        if rng.once_in(2) {
            mutate::bytes(rng, &mut bytes);
        }
        let path = put(dir, &name, &bytes)?;
        first.get_or_insert(path);
    }
    if parts > 1 && rng.once_in(2) {
        let mut index = json!({"metadata": {"total_size": 1}, "weight_map": listed});
        mutate::json(rng, &mut index);
        let mut bytes = index.to_string().into_bytes();
        if rng.once_in(4) {
            mutate::bytes(rng, &mut bytes);
        }
        put(dir, "model.safetensors.index.json", &bytes)?;
        return Ok(dir.to_owned());
    }
    Ok(first.unwrap_or_else(|| dir.to_owned()))
}

fn gguf(rng: &mut Rng, dir: &Path, parts: usize) -> Result<PathBuf, String> {
    let mut first = None;
    let all: Vec<Shapes> = (0..parts).map(|part| shapes(rng, part)).collect();
    let count = all.iter().map(Vec::len).sum::<usize>() as u64;
    for (part, shapes) in all.iter().enumerate() {
        let name = match parts {
            1 => "model.gguf".to_owned(),
            _ => format!("model-{:05}-of-{parts:05}.gguf", part + 1),
        };
        let mut keys = vec![
            ("general.architecture", Key::Text("llama".to_owned())),
            ("a.float", Key::Float(0.5)),
            ("a.bool", Key::Bool(true)),
            ("a.texts", Key::Texts(vec!["x".to_owned(), "é".to_owned()])),
            ("a.floats", Key::Floats(vec![1.0, 2.0])),
            ("a.ints", Key::Ints(vec![1, -2])),
        ];
        if rng.once_in(3) {
            keys.push(("general.alignment", Key::Int(*rng.choose(&[1, 32, 64, 0, 3, 1 << 31]))));
        }
        if parts > 1 {
            keys.push(("split.no", Key::Uint(part as u64)));
            keys.push(("split.count", Key::Uint(parts as u64)));
            keys.push(("split.tensors.count", Key::Uint(count)));
        }
        let keys: Vec<_> = keys.into_iter().map(|(name, key)| (name.to_owned(), key)).collect();
        let mut bytes = containers::gguf(rng, &keys, shapes);
        if rng.once_in(2) {
            mutate::bytes(rng, &mut bytes);
        }
        let path = put(dir, &name, &bytes)?;
        first.get_or_insert(path);
    }
    Ok(first.unwrap_or_else(|| dir.to_owned()))
}
