//! What is wrong with a file that is neither a safetensors file nor a GGUF file, and what to do about it.

use safetensors::SafeTensorError;
use seqc_formats::Encoding;
use serde_json::{Map, Value};

/// Bytes of the header's length.
const LENGTH: usize = 8;
/// Longest header that the `safetensors` crate reads.
const LONGEST_HEADER: usize = 100_000_000;
/// The key of a header that is no tensor.
const METADATA: &str = "__metadata__";

/// What a file is that stands in the place of another one: a pointer to it, a web page, weights of a kind that is not read.
pub fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let starts = |text: &[u8]| {
        bytes
            .get(..text.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(text))
    };
    if starts(b"version https://git-lfs") {
        return Some("this is a Git LFS pointer, not the file itself: fetch that with `git lfs pull`");
    }
    if starts(b"<!doctype") || starts(b"<html") || starts(b"<?xml") {
        return Some("this is a web page: the download failed, fetch the file again");
    }
    if starts(b"PK\x03\x04") || starts(b"\x80\x02") || starts(b"\x80\x04") {
        return Some("this is a PyTorch file (a pickle), which is not read: write it again as safetensors");
    }
    if starts(b"\x89HDF") {
        return Some("this is an HDF5 file, which is not read: write it again as safetensors");
    }
    if starts(b"tjgg") || starts(b"fmgg") || starts(b"lmgg") {
        return Some(
            "this is a GGML file, from before GGUF, which is not read: convert the original weights to GGUF or safetensors",
        );
    }
    None
}

/// Why a file that is called a GGUF file is none.
pub(crate) fn no_gguf(bytes: &[u8]) -> String {
    if let Some(known) = foreign(bytes) {
        return known.to_owned();
    }
    let first = bytes[..bytes.len().min(4)].escape_ascii();
    format!("not a GGUF file: it begins with `{first}` where `GGUF` is expected; fetch it again or name another file")
}

/// Why a file is no safetensors file.
pub(crate) fn no_safetensors(bytes: &[u8], error: &SafeTensorError) -> String {
    if let Some(known) = foreign(bytes) {
        return known.to_owned();
    }
    let Some(length) = bytes.first_chunk::<LENGTH>().map(|head| u64::from_le_bytes(*head)) else {
        return format!(
            "not a safetensors file: it has {} bytes, and the length of its header alone takes {LENGTH}; fetch it again",
            bytes.len()
        );
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_HEADER);
    let Some(header) = length.map(|length| length + LENGTH) else {
        return "not a safetensors file: by its first eight bytes its header is longer than 100 MB; \
                give a safetensors or a GGUF file"
            .to_owned();
    };
    let Some(text) = bytes.get(LENGTH..header) else {
        return cut(header - bytes.len());
    };
    let tensors = match serde_json::from_slice(text) {
        Ok(Value::Object(tensors)) => tensors,
        Ok(_) => return no_header("a JSON object of tensors is expected there"),
        Err(error) => return no_header(&format!("{error} of the header")),
    };
    let found = wrong_entry(&tensors).or_else(|| wrong_place(&tensors, bytes.len() - header));
    found.unwrap_or_else(|| no_header(&error.to_string()))
}

fn no_header(why: &str) -> String {
    format!("the header of this safetensors file cannot be read: {why}; fetch or write the file again")
}

fn cut(bytes: usize) -> String {
    format!("the file is {bytes} bytes short of what its header says: it was cut, fetch it again")
}

fn tensors_of(header: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let tensors = header.iter().filter(|(name, _)| *name != METADATA);
    tensors.map(|(name, tensor)| (name.as_str(), tensor))
}

/// The first entry of a header that does not say where a tensor lies and what it is.
fn wrong_entry(header: &Map<String, Value>) -> Option<String> {
    let is_text = |value: &Value| value.is_string();
    if let Some(metadata) = header.get(METADATA)
        && !metadata.as_object().is_some_and(|map| map.values().all(is_text))
    {
        return Some(no_header(&format!("`{METADATA}` is no mapping from texts to texts")));
    }
    tensors_of(header).find_map(|(name, tensor)| {
        let wrong = |key: &str, expected: &str| match tensor.get(key) {
            Some(found) => no_header(&format!(
                "`{key}` of tensor `{name}` is {found}; {expected} is expected"
            )),
            None => no_header(&format!("tensor `{name}` has no `{key}`")),
        };
        let dtype = tensor.get("dtype");
        let Some(dtype) = dtype.and_then(Value::as_str) else {
            return Some(wrong("dtype", "the name of a type"));
        };
        if serde_json::from_value::<safetensors::Dtype>(dtype.into()).is_err() {
            return Some(format!(
                "tensor `{name}` is stored as {}, which cannot be read; {} can: write it again as one of these",
                dtype.escape_debug(),
                Encoding::readable()
            ));
        }
        if sizes(tensor, "shape").is_none() {
            return Some(wrong("shape", "a list of sizes"));
        }
        let offsets = sizes(tensor, "data_offsets").filter(|offsets| offsets.len() == 2 && offsets[0] <= offsets[1]);
        offsets
            .is_none()
            .then(|| wrong("data_offsets", "the first byte and that behind the last"))
    })
}

fn sizes(tensor: &Value, key: &str) -> Option<Vec<usize>> {
    let size = |value: &Value| usize::try_from(value.as_u64()?).ok();
    tensor.get(key)?.as_array()?.iter().map(size).collect()
}

/// The first tensor that does not follow the one before it, or does not have the bytes of its shape. `bytes` follow the header.
fn wrong_place(header: &Map<String, Value>, bytes: usize) -> Option<String> {
    let mut tensors: Vec<(usize, usize, &str)> = tensors_of(header)
        .filter_map(|(name, tensor)| {
            let offsets = sizes(tensor, "data_offsets")?;
            Some((*offsets.first()?, *offsets.get(1)?, name))
        })
        .collect();
    tensors.sort_unstable();
    let mut before = (0, "");
    for (start, end, name) in tensors.iter().copied() {
        let (at, other) = before;
        if start < at {
            return Some(no_header(&format!("tensors `{other}` and `{name}` overlap")));
        }
        if start > at {
            return Some(no_header(&format!(
                "{} bytes before tensor `{name}` belong to no tensor",
                start - at
            )));
        }
        if let Some(why) = wrong_size(name, &header[name], end - start) {
            return Some(no_header(&why));
        }
        before = (end, name);
    }
    match before.0 {
        end if end > bytes => Some(cut(end - bytes)),
        end if end < bytes => {
            let more = bytes - end;
            Some(format!(
                "{more} bytes follow after what the header of this safetensors file describes: fetch or write the file again"
            ))
        }
        _ => None,
    }
}

/// Why a tensor does not take so many bytes.
fn wrong_size(name: &str, tensor: &Value, bytes: usize) -> Option<String> {
    let (dtype, shape) = (&tensor["dtype"], sizes(tensor, "shape")?);
    let bits = serde_json::from_value::<safetensors::Dtype>(dtype.clone())
        .ok()?
        .bitsize();
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    let Some(takes) = count.and_then(|count| count.checked_mul(bits)) else {
        return Some(format!("tensor `{name}` of shape {shape:?} is larger than all memory"));
    };
    let what = format!("tensor `{name}` of shape {shape:?} and type {}", dtype.as_str()?);
    (takes != bytes.checked_mul(8)?).then(|| {
        format!(
            "{what} takes {} bytes, its `data_offsets` give it {bytes}",
            takes.div_ceil(8)
        )
    })
}
