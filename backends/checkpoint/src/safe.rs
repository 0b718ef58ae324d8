//! Headers of safetensors files.

use std::path::Path;

use safetensors::SafeTensors;
use seqc_formats::Encoding;

use crate::{checkpoint::Checkpoint, entry::Entry, error::Error, faults};

/// Bytes of the header's length.
const LENGTH: usize = 8;

/// Adds the tensors of one file to a checkpoint.
pub(crate) fn add(checkpoint: &mut Checkpoint, file: usize, path: &Path) -> Result<(), Error> {
    let map = checkpoint.files[file].clone();
    let read = SafeTensors::read_metadata(&map);
    let (header, metadata) = read.map_err(|error| Error::broken(path, faults::no_safetensors(&map, &error)))?;
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
