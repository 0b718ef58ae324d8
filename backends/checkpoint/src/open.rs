//! Opening: which format a path holds, and the headers of safetensors files.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, sync::Arc};

use memmap2::Mmap;
use safetensors::SafeTensors;

use crate::{Checkpoint, DType, Entry, Error, gguf};

/// Bytes of an index of shards beyond which it is not read.
const LARGEST_INDEX: u64 = 1 << 28;
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

pub(crate) fn open(path: &Path) -> Result<Checkpoint, Error> {
    let kind = fs::metadata(path).map_err(|error| io(path, error))?;
    if kind.is_dir() {
        let [single, index] = [SINGLE, INDEX].map(|name| path.join(name));
        return match (single.is_file(), index.is_file()) {
            (true, _) => of_file(&single),
            (_, true) => of_index(&index),
            _ => Err(Error::broken(
                path,
                format!("the folder holds neither {SINGLE} nor {INDEX}"),
            )),
        };
    }
    if path.extension().is_some_and(|ending| ending == "json") {
        return of_index(path);
    }
    of_file(path)
}

fn io(path: &Path, error: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        error,
    }
}

fn map(path: &Path) -> Result<Arc<Mmap>, Error> {
    let file = fs::File::open(path).map_err(|error| io(path, error))?;
    let kind = file.metadata().map_err(|error| io(path, error))?;
    if !kind.is_file() {
        return Err(Error::broken(path, "not a plain file"));
    }
    if kind.len() == 0 {
        return Err(Error::broken(path, "the file is empty"));
    }
    // SAFETY: the map is read only; that nobody truncates the file meanwhile is the documented duty of the user.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| io(path, error))?;
    Ok(Arc::new(map))
}

fn of_file(path: &Path) -> Result<Checkpoint, Error> {
    let map = map(path)?;
    let mut checkpoint = Checkpoint {
        files: vec![map.clone()],
        tensors: BTreeMap::new(),
        gguf: None,
    };
    if map.starts_with(b"GGUF") {
        let read = gguf::read(map).map_err(|message| Error::broken(path, message))?;
        checkpoint.tensors = read.tensors;
        checkpoint.gguf = Some(read.metadata);
    } else {
        add_safetensors(&mut checkpoint, 0, path)?;
    }
    Ok(checkpoint)
}

fn add_safetensors(checkpoint: &mut Checkpoint, file: usize, path: &Path) -> Result<(), Error> {
    let map = checkpoint.files[file].clone();
    let broken = |error: &dyn std::fmt::Display| Error::broken(path, format!("not a safetensors file: {error}"));
    let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| broken(&error))?;
    let data = header.checked_add(8).filter(|start| *start <= map.len());
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
            dtype: DType::of_safetensors(info.dtype),
            shape: info.shape.clone(),
        };
        if checkpoint.tensors.insert(name.clone(), entry).is_some() {
            return Err(Error::broken(path, format!("tensor `{name}` is in two files")));
        }
    }
    Ok(())
}

fn of_index(path: &Path) -> Result<Checkpoint, Error> {
    let listed = shards(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut names: Vec<&String> = listed.values().collect();
    names.sort();
    names.dedup();
    let mut checkpoint = Checkpoint {
        files: Vec::new(),
        tensors: BTreeMap::new(),
        gguf: None,
    };
    for (number, name) in names.into_iter().enumerate() {
        let shard: PathBuf = folder.join(name);
        checkpoint.files.push(map(&shard)?);
        add_safetensors(&mut checkpoint, number, &shard)?;
    }
    let missing = listed.iter().find(|(name, _)| !checkpoint.tensors.contains_key(*name));
    match missing {
        Some((name, file)) => Err(Error::broken(path, format!("tensor `{name}` is not in {file}"))),
        None => Ok(checkpoint),
    }
}

/// Tensor to file name, from an index.
fn shards(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let size = fs::metadata(path).map_err(|error| io(path, error))?.len();
    if size > LARGEST_INDEX {
        return Err(Error::broken(path, "an index of shards is never this long"));
    }
    let text = fs::read(path).map_err(|error| io(path, error))?;
    let index: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| Error::broken(path, format!("not an index: {error}")))?;
    let Some(listed) = index.get("weight_map").and_then(|map| map.as_object()) else {
        return Err(Error::broken(path, "an index of shards has an object `weight_map`"));
    };
    let mut found = BTreeMap::new();
    for (name, file) in listed {
        let plain = file.as_str().filter(|file| is_plain(file));
        let Some(file) = plain else {
            return Err(Error::broken(
                path,
                format!("`{name}` is not in a file of this folder: {file}"),
            ));
        };
        found.insert(name.clone(), file.to_owned());
    }
    Ok(found)
}

/// Whether a name stays inside its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != ".."
}
