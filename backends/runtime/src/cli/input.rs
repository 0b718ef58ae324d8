//! Input streams from a file of tensors, one for each stream, under its name.

#[cfg_attr(target_os = "wasi", path = "../wasi/standard.rs")]
mod standard;

use std::{
    io::{self, Read},
    path::Path,
};

use seqc_abi::{Descriptor, Elem, Memory, Stream};
use seqc_checkpoint::{Checkpoint, TensorRef};

use super::{common::is_standard, console::Console};
use crate::{Error, Result, inputs::Values};

/// The input streams that a file has.
pub(crate) struct Inputs {
    /// Those of tokens, in frame order.
    pub(crate) tokens: Vec<Values>,
    /// Those of the memory, where they were asked for and the model reads them.
    pub(crate) memory: Option<Vec<Values>>,
}

/// All input streams of a model, in frame order; `with_memory` those of its encoder as well.
pub(crate) fn read(descriptor: &Descriptor, path: &Path, with_memory: bool, console: &mut Console) -> Result<Inputs> {
    let file = open(path)?;
    let memory = descriptor.memory.as_ref().filter(|_| with_memory);
    let inputs = Inputs {
        tokens: streams(&file, &descriptor.inputs, path)?,
        memory: memory.map(|memory| streams(&file, &memory.inputs, path)).transpose()?,
    };
    let of_memory = memory.iter().flat_map(|memory| &memory.inputs);
    warn_of_others(&file, descriptor.inputs.iter().chain(of_memory), console);
    Ok(inputs)
}

/// All input streams of a model's encoder.
pub(crate) fn read_source(memory: &Memory, path: &Path, console: &mut Console) -> Result<Vec<Values>> {
    let file = open(path)?;
    let inputs = streams(&file, &memory.inputs, path)?;
    warn_of_others(&file, memory.inputs.iter(), console);
    Ok(inputs)
}

fn warn_of_others<'s>(file: &Checkpoint, known: impl Iterator<Item = &'s Stream> + Clone, console: &mut Console) {
    let is_other = |name: &&str| known.clone().all(|stream| stream.name != *name);
    for name in file.names().filter(is_other) {
        console.warn(format_args!("the model has no input `{name}`; the tensor is left out"));
    }
}

fn open(path: &Path) -> Result<Checkpoint> {
    if is_standard(path) {
        let mut from = io::stdin().lock();
        let (head, left) = head_of(&mut from).map_err(|why| Error::input(format!("standard input: {why}")))?;
        return standard::open(&head, &mut from.take(left));
    }
    Ok(Checkpoint::open(path)?)
}

/// Rows of these streams.
fn streams(file: &Checkpoint, streams: &[Stream], path: &Path) -> Result<Vec<Values>> {
    let wrong = |message: String| Error::input(format!("{}: {message}", path.display()));
    let mut problems = Vec::new();
    let (mut inputs, mut tokens) = (Vec::new(), None);
    for stream in streams {
        match values(file, stream) {
            Ok((values, rows)) => {
                if *tokens.get_or_insert(rows) != rows {
                    problems.push(format!(
                        "`{}` has {rows} rows where the input before has {}: all have one for each token",
                        stream.name,
                        tokens.unwrap_or_default()
                    ));
                }
                inputs.push(values);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(wrong(problems.join("; ")));
    }
    Ok(inputs)
}

/// Bytes that are read from standard input: larger files have names.
const MOST_STANDARD: u64 = 1 << 32;
/// Bytes of a safetensors header, as its authors bound them.
const LONGEST_HEADER: u64 = 100_000_000;

/// The header of a safetensors file, and the bytes after it, with one more where too many come.
fn head_of(from: &mut impl Read) -> std::result::Result<(Vec<u8>, u64), String> {
    let mut head = Vec::new();
    let mut more = |most: u64, head: &mut Vec<u8>| from.take(most).read_to_end(head).map_err(|error| error.to_string());
    more(8, &mut head)?;
    let length = head.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if !(2..=LONGEST_HEADER).contains(&length) {
        return Err("this is not a safetensors file".to_owned());
    }
    more(length, &mut head)?;
    let header: serde_json::Value =
        serde_json::from_slice(&head[8..]).map_err(|error| format!("this is not a safetensors file: {error}"))?;
    let tensors = header.as_object().into_iter().flat_map(|tensors| tensors.values());
    let ends = tensors.filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let end = ends.max().unwrap_or(0);
    if end > MOST_STANDARD {
        return Err(format!(
            "{end} bytes of tensors are more than the {MOST_STANDARD} that are read from here; give a file"
        ));
    }
    Ok((head, end + 1))
}

/// Values and rows of one stream; errors are messages.
fn values(file: &Checkpoint, stream: &Stream) -> std::result::Result<(Values, usize), String> {
    let Some(tensor) = file.get(&stream.name) else {
        let names: Vec<String> = file.names().take(8).map(|name| format!("`{name}`")).collect();
        return Err(format!(
            "there is no tensor `{}` for the input of that name; the file holds {}",
            stream.name,
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        ));
    };
    let rows = rows(&tensor, stream)?;
    let values = match stream.elem {
        Elem::F32 => Values::F32(tensor.to_f32().map_err(|error| error.to_string())?),
        Elem::I64 => Values::I64(tensor.to_i64().map_err(|error| error.to_string())?),
    };
    Ok((values, rows))
}

/// Rows of a tensor whose other axes are those of the stream; axes of size 1 do not count.
fn rows(tensor: &TensorRef, stream: &Stream) -> std::result::Result<usize, String> {
    let longer = |shape: &[usize]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
    match tensor.shape.split_first() {
        Some((rows, rest)) if longer(rest) == longer(&stream.shape) => Ok(*rows),
        _ => Err(format!(
            "`{}` has the shape {:?}; expected is [tokens] followed by {:?}",
            stream.name, tensor.shape, stream.shape
        )),
    }
}
