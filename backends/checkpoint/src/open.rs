//! Opening: which format a path holds, and the files that belong together.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use crate::{
    checkpoint::Checkpoint,
    error::Error,
    faults,
    files::Source,
    gguf::{self, Metadata},
    mapping::Mapping,
    parts::Part,
    safe,
};

/// Bytes of an index of shards beyond which it is not read.
const LARGEST_INDEX: u64 = 1 << 28;
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const GGUF: &[u8] = b"GGUF";

impl Checkpoint {
    /// Opens a safetensors file, a folder with `model.safetensors` or `model.safetensors.index.json`, such an index, or a
    /// GGUF file. The content decides which, not the name. A file that is one of several (`-00001-of-00003`) opens them all.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, and files whose headers do not agree with themselves or with the files' sizes. Pipes and
    /// devices are never opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
        open(&path.as_ref().into())
    }

    /// The bytes of a safetensors file that were read from somewhere.
    ///
    /// # Errors
    ///
    /// Bytes that are no such file.
    #[cfg(target_os = "wasi")]
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Checkpoint, Error> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.files.push(Arc::new(Mapping::of_bytes(bytes)));
        safe::add(&mut checkpoint, 0, Path::new("-"))?;
        checkpoint.pair_scales();
        Ok(checkpoint)
    }

    /// [`Checkpoint::open`] of files that may lie inside a program.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn open_source(source: &Source) -> Result<Checkpoint, Error> {
        open(source)
    }
}

fn open(source: &Source) -> Result<Checkpoint, Error> {
    if !source.exists() {
        return Err(Error::Io {
            path: source.shown(),
            error: io::Error::from_raw_os_error(libc::ENOENT),
        });
    }
    if source.is_folder() {
        let [single, index] = [SINGLE, INDEX].map(|name| source.join(name));
        return match (single.exists(), index.exists()) {
            (true, _) => of_file(&single),
            (_, true) => of_index(&index),
            _ => Err(Error::broken(
                &source.shown(),
                format!("the folder holds neither {SINGLE} nor {INDEX}: give the file of the weights"),
            )),
        };
    }
    if source.ends_with(".json") {
        return of_index(source);
    }
    of_file(source)
}

/// A file, with the other parts of its checkpoint where it is one of several.
fn of_file(source: &Source) -> Result<Checkpoint, Error> {
    let first = source.map()?;
    if first.starts_with(GGUF) {
        return of_gguf(source, first);
    }
    let files = match Part::of(source) {
        Some(part) => part.all()?,
        None => vec![source.clone()],
    };
    let mut checkpoint = Checkpoint::default();
    for (number, file) in files.iter().enumerate() {
        checkpoint.add_file(file, file.map()?);
        let added = safe::add(&mut checkpoint, number, &file.shown());
        // The content decides what a file is; what is neither is told as what its name says.
        added.map_err(|error| match source.ends_with(".gguf") {
            true => Error::broken(&file.shown(), faults::no_gguf(&checkpoint.files[number])),
            false => error,
        })?;
    }
    checkpoint.pair_scales();
    Ok(checkpoint)
}

/// A GGUF file, or all parts of one that was split (`split.count`). Keys are those of the first part.
fn of_gguf(source: &Source, map: Arc<Mapping>) -> Result<Checkpoint, Error> {
    let path = &source.shown();
    let (keys, _) = gguf::read(map.clone()).map_err(|message| Error::broken(path, message))?;
    let count = keys.uint("split.count").filter(|count| *count > 1);
    let files = match count {
        Some(count) => parts_of(source, &keys, count)?,
        None => vec![source.clone()],
    };
    let mut checkpoint = Checkpoint::default();
    for (number, file) in files.iter().enumerate() {
        let map = if files.len() == 1 { map.clone() } else { file.map()? };
        add_gguf(&mut checkpoint, number, files.len(), file, map)?;
    }
    let claimed = keys.uint("split.tensors.count").filter(|_| count.is_some());
    match claimed {
        Some(claimed) if claimed != checkpoint.tensors.len() as u64 => {
            let found = checkpoint.tensors.len();
            let message =
                format!("the parts hold {found} tensors, `split.tensors.count` says {claimed}: fetch the parts again");
            Err(Error::broken(path, message))
        }
        _ => Ok(checkpoint),
    }
}

/// The files of a split GGUF, one of which is `source`.
fn parts_of(source: &Source, keys: &Metadata, count: u64) -> Result<Vec<Source>, Error> {
    let part = Part::of(source).filter(|part| part.total as u64 == count);
    part.map_or_else(
        || {
            let number = keys.uint("split.no").unwrap_or(0).saturating_add(1);
            let message = format!(
                "part {number} of {count} (split.count): the others are looked for beside it, which needs the names NAME-00001-of-{count:05}.gguf"
            );
            Err(Error::broken(&source.shown(), message))
        },
        |part| part.all(),
    )
}

/// Adds part `number` of `of`.
fn add_gguf(
    checkpoint: &mut Checkpoint,
    number: usize,
    of: usize,
    source: &Source,
    map: Arc<Mapping>,
) -> Result<(), Error> {
    let path = &source.shown();
    if !map.starts_with(GGUF) {
        return Err(Error::broken(path, faults::no_gguf(&map)));
    }
    let (keys, tensors) = gguf::read(map.clone()).map_err(|message| Error::broken(path, message))?;
    let says = |key: &str| keys.uint(key);
    if of > 1 && (says("split.no"), says("split.count")) != (Some(number as u64), Some(of as u64)) {
        let message = format!(
            "by its name this is part {} of {of}, by `split.no` and `split.count` it is not: give the files the names that they had",
            number + 1
        );
        return Err(Error::broken(path, message));
    }
    checkpoint.add_file(source, map);
    for (name, mut entry) in tensors {
        entry.file = number;
        checkpoint.insert(name, entry, path)?;
    }
    checkpoint.gguf.get_or_insert(keys);
    Ok(())
}

fn of_index(source: &Source) -> Result<Checkpoint, Error> {
    let (path, listed) = (&source.shown(), shards(source)?);
    let mut names: Vec<&String> = listed.values().collect();
    names.sort();
    names.dedup();
    let mut checkpoint = Checkpoint::default();
    let all = names.len();
    checkpoint.add_path(source);
    for (number, name) in names.into_iter().enumerate() {
        let shard = source.beside(name);
        if !shard.exists() {
            let message =
                format!("{name}, one of {all} files that the index names, is not there: fetch it into the same folder");
            return Err(Error::broken(path, message));
        }
        checkpoint.add_file(&shard, shard.map()?);
        safe::add(&mut checkpoint, number, &shard.shown())?;
    }
    let missing = listed.iter().find(|(name, _)| !checkpoint.tensors.contains_key(*name));
    if let Some((name, file)) = missing {
        return Err(Error::broken(
            path,
            format!("tensor `{name}` is not in {file}, as the index says: fetch both again"),
        ));
    }
    checkpoint.pair_scales();
    Ok(checkpoint)
}

/// Tensor to file name, from an index.
fn shards(source: &Source) -> Result<BTreeMap<String, String>, Error> {
    source.check_plain()?;
    let (path, text) = (&source.shown(), source.read(LARGEST_INDEX)?);
    if let Some(known) = faults::foreign(&text) {
        return Err(Error::broken(path, known));
    }
    let index: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
        Error::broken(
            path,
            format!("this index of shards is not JSON: {error}; fetch it again"),
        )
    })?;
    let Some(listed) = index.get("weight_map").and_then(|map| map.as_object()) else {
        return Err(Error::broken(
            path,
            "an index of shards has a mapping `weight_map` from tensors to files, and this has none: fetch it again",
        ));
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
