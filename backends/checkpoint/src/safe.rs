//! Headers of safetensors files, and what is wrong with a file that is none.

use std::path::Path;

use safetensors::{SafeTensorError, SafeTensors};
use seqc_formats::Encoding;
use serde_json::Value;

use crate::{checkpoint::Checkpoint, entry::Entry, error::Error, mapping::Mapping};

/// Bytes of the header's length.
const LENGTH: usize = 8;

/// Adds the tensors of one file to a checkpoint.
pub(crate) fn add(checkpoint: &mut Checkpoint, file: usize, path: &Path) -> Result<(), Error> {
    let map = checkpoint.files[file].clone();
    let read = SafeTensors::read_metadata(&map);
    let (header, metadata) = read.map_err(|error| Error::broken(path, explained(&map, &error)))?;
    let data = header.checked_add(LENGTH).filter(|start| *start <= map.len());
    let data = data.ok_or_else(|| Error::broken(path, "the header is longer than the file"))?;
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        let bytes = end.checked_sub(start);
        let fits = end <= map.len() - data;
        let Some(bytes) = bytes.filter(|_| fits) else {
            return Err(Error::broken(path, format!("tensor `{name}` lies outside of the file")));
        };
        let entry = Entry {
            file,
            start: data + start,
            bytes,
            encoding: Encoding::of_safetensors(&info.dtype.to_string()),
            shape: info.shape.clone(),
            scales: None,
            exponents: None,
        };
        checkpoint.insert(name.clone(), entry, path)?;
    }
    Ok(())
}

/// Why a file is no safetensors file, as far as its first bytes tell.
fn explained(map: &Mapping, error: &SafeTensorError) -> String {
    if let Some(known) = foreign(map) {
        return known.to_owned();
    }
    let header = header_length(map).filter(|length| *length <= safetensors_limit());
    let Some(header) = header.and_then(|length| length.checked_add(LENGTH)) else {
        return format!("not a safetensors file: {error}");
    };
    let Some(text) = map.get(LENGTH..header) else {
        return cut(header - map.len());
    };
    let Ok(Value::Object(tensors)) = serde_json::from_slice(text) else {
        return format!("not a safetensors file: {error}");
    };
    if let Some((name, dtype)) = unknown_type(&tensors) {
        return format!(
            "tensor `{name}` is stored as {}, which cannot be read; {} can",
            dtype.escape_debug(),
            Encoding::readable()
        );
    }
    let ends = tensors.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let end = ends
        .max()
        .and_then(|end| usize::try_from(end).ok()?.checked_add(header));
    match (error, end) {
        (SafeTensorError::MetadataIncompleteBuffer, Some(end)) if end > map.len() => cut(end - map.len()),
        (SafeTensorError::MetadataIncompleteBuffer, Some(end)) if end < map.len() => {
            let more = map.len() - end;
            format!("{more} bytes follow after what the header of this safetensors file describes")
        }
        _ => format!("not a safetensors file: {error}"),
    }
}

fn cut(bytes: usize) -> String {
    format!("the file is {bytes} bytes short of what its header says: it was cut, fetch it again")
}

fn header_length(map: &Mapping) -> Option<usize> {
    let bytes = map.first_chunk::<LENGTH>()?;
    usize::try_from(u64::from_le_bytes(*bytes)).ok()
}

/// Longest header that the `safetensors` crate reads.
fn safetensors_limit() -> usize {
    100_000_000
}

/// The first tensor of a type that the format does not know.
fn unknown_type(tensors: &serde_json::Map<String, Value>) -> Option<(&str, &str)> {
    let mut types = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.as_str(), tensor.get("dtype")?)));
    types.find_map(|(name, dtype)| {
        let known = serde_json::from_value::<safetensors::Dtype>(dtype.clone()).is_ok();
        dtype.as_str().filter(|_| !known).map(|dtype| (name, dtype))
    })
}

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
    None
}
