//! Random weights of a model as a safetensors file: the values that `weights: {random: N}` gives.

use crate::random;
use seqc_checkpoint::base;
use seqc_formats::{Encoding, to_bf16, to_f16};
use seqc_ir::Model;
use serde_json::{Map, json};
use std::{collections::HashMap, io::Write};

/// One tensor of the file: a parameter, or one of those that it is stacked from.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    encoding: Encoding,
    /// The parameter's first tensor and shape, which its values follow from.
    key: (String, Vec<usize>),
    /// Which part of the parameter.
    part: usize,
}

impl Tensor {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn bytes(&self) -> usize {
        self.len() * self.encoding.block_bytes()
    }
}

/// Writes all tensors of a model; gives their number.
pub fn write(model: &Model, seed: u64, out: &mut impl Write) -> Result<usize, String> {
    let tensors = tensors(model)?;
    let written = header(&tensors, out).and_then(|()| elements(&tensors, seed, out));
    written.and_then(|()| out.flush()).map_err(|e| e.to_string())?;
    Ok(tensors.len())
}

/// Each tensor once, in the order of the layers.
fn tensors(model: &Model) -> Result<Vec<Tensor>, String> {
    let mut all: Vec<Tensor> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for call in &model.calls {
        let kind = &model.kinds[call.kind.0 as usize];
        for ((port, source), encoding) in kind.graph.params.iter().zip(&call.params).zip(&kind.encodings) {
            for tensor in parts(&port.ty.sizes(), &source.tensors, *encoding) {
                add(tensor, &mut all, &mut places)?;
            }
        }
    }
    Ok(all)
}

fn parts(shape: &[usize], names: &[String], encoding: Encoding) -> Vec<Tensor> {
    let own = if names.len() > 1 {
        shape.get(1..).unwrap_or_default()
    } else {
        shape
    };
    let first = names.first().cloned().unwrap_or_default();
    let part = |(part, name): (usize, &String)| Tensor {
        name: name.clone(),
        shape: own.to_vec(),
        encoding,
        key: (first.clone(), shape.to_vec()),
        part,
    };
    names.iter().enumerate().map(part).collect()
}

fn add(tensor: Tensor, all: &mut Vec<Tensor>, places: &mut HashMap<String, usize>) -> Result<(), String> {
    let name = &tensor.name;
    if base(name) != name {
        return Err(format!(
            "`{name}` is a part of a tensor, and what the others are is not known: load whole tensors"
        ));
    }
    if tensor.encoding.safetensors().is_none() {
        let ty = tensor.encoding.name();
        return Err(format!(
            "`{name}` is stored as {ty}, which safetensors files do not hold"
        ));
    }
    match places.get(name) {
        None => {
            places.insert(name.clone(), all.len());
            all.push(tensor);
        }
        Some(n) if all[*n].shape != tensor.shape => {
            return Err(format!(
                "`{name}` is read with two shapes, {:?} and {:?}",
                all[*n].shape, tensor.shape
            ));
        }
        // Read as a matrix somewhere: that place needs the type.
        Some(n) if tensor.encoding != Encoding::F32 => all[*n].encoding = tensor.encoding,
        Some(_) => {}
    }
    Ok(())
}

/// The length of the header, and the header: types, shapes, places.
fn header(tensors: &[Tensor], out: &mut impl Write) -> std::io::Result<()> {
    let mut entries = Map::new();
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.bytes();
        let ty = tensor.encoding.safetensors();
        entries.insert(
            tensor.name.clone(),
            json!({"dtype": ty, "shape": tensor.shape, "data_offsets": [start, end]}),
        );
        start = end;
    }
    let mut text = serde_json::Value::Object(entries).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}

fn elements(tensors: &[Tensor], seed: u64, out: &mut impl Write) -> std::io::Result<()> {
    for tensor in tensors {
        let (name, shape) = &tensor.key;
        let values = random::parameter(name, shape, seed);
        let own = values.into_iter().skip(tensor.part * tensor.len()).take(tensor.len());
        for value in own {
            let value = value as f32;
            match tensor.encoding {
                Encoding::Bf16 => out.write_all(&to_bf16(value).to_le_bytes())?,
                Encoding::F16 => out.write_all(&to_f16(value).to_le_bytes())?,
                _ => out.write_all(&value.to_le_bytes())?,
            }
        }
    }
    Ok(())
}
