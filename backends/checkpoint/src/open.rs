//! Opening: which format a path holds, and the files that belong together.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;

use crate::{Checkpoint, Error, Metadata, gguf, parts::Part, safe};

/// Bytes of an index of shards beyond which it is not read.
const LARGEST_INDEX: u64 = 1 << 28;
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const GGUF: &[u8] = b"GGUF";

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

/// The size of a regular file. Pipes and devices are refused before they are opened: opening a pipe may wait for ever.
fn regular(path: &Path) -> Result<u64, Error> {
    let kind = fs::metadata(path).map_err(|error| io(path, error))?;
    if !kind.is_file() {
        return Err(Error::broken(path, "not a plain file"));
    }
    if kind.len() == 0 {
        return Err(Error::broken(path, "the file is empty"));
    }
    Ok(kind.len())
}

fn map(path: &Path) -> Result<Arc<Mmap>, Error> {
    regular(path)?;
    let file = fs::File::open(path).map_err(|error| io(path, error))?;
    // SAFETY: the map is read only; that nobody truncates the file meanwhile is the documented duty of the user.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| io(path, error))?;
    Ok(Arc::new(map))
}

/// A file, with the other parts of its checkpoint where it is one of several.
fn of_file(path: &Path) -> Result<Checkpoint, Error> {
    let first = map(path)?;
    if first.starts_with(GGUF) {
        return of_gguf(path, first);
    }
    let paths = match Part::of(path) {
        Some(part) => part.all()?,
        None => vec![path.to_owned()],
    };
    let mut checkpoint = Checkpoint::default();
    for (number, path) in paths.iter().enumerate() {
        checkpoint.files.push(map(path)?);
        safe::add(&mut checkpoint, number, path)?;
    }
    Ok(checkpoint)
}

/// A GGUF file, or all parts of one that was split (`split.count`). Keys are those of the first part.
fn of_gguf(path: &Path, map_of_path: Arc<Mmap>) -> Result<Checkpoint, Error> {
    let (keys, _) = gguf::read(map_of_path.clone()).map_err(|message| Error::broken(path, message))?;
    let count = keys.uint("split.count").filter(|count| *count > 1);
    let paths = match count {
        Some(count) => parts_of(path, &keys, count)?,
        None => vec![path.to_owned()],
    };
    let mut checkpoint = Checkpoint::default();
    for (number, path) in paths.iter().enumerate() {
        let map = if paths.len() == 1 {
            map_of_path.clone()
        } else {
            map(path)?
        };
        add_gguf(&mut checkpoint, (number, paths.len()), path, map)?;
    }
    let claimed = keys.uint("split.tensors.count").filter(|_| count.is_some());
    match claimed {
        Some(claimed) if claimed != checkpoint.tensors.len() as u64 => {
            let found = checkpoint.tensors.len();
            let message = format!("the parts hold {found} tensors, `split.tensors.count` says {claimed}");
            Err(Error::broken(path, message))
        }
        _ => Ok(checkpoint),
    }
}

/// The files of a split GGUF, one of which is `path`.
fn parts_of(path: &Path, keys: &Metadata, count: u64) -> Result<Vec<PathBuf>, Error> {
    let part = Part::of(path).filter(|part| part.total as u64 == count);
    part.map_or_else(
        || {
            let number = keys.uint("split.no").unwrap_or(0).saturating_add(1);
            let message = format!(
                "part {number} of {count} (split.count): the others are looked for beside it, which needs the names NAME-00001-of-{count:05}.gguf"
            );
            Err(Error::broken(path, message))
        },
        |part| part.all(),
    )
}

fn add_gguf(
    checkpoint: &mut Checkpoint,
    (number, of): (usize, usize),
    path: &Path,
    map: Arc<Mmap>,
) -> Result<(), Error> {
    if !map.starts_with(GGUF) {
        return Err(Error::broken(path, "this part of a GGUF checkpoint is no GGUF file"));
    }
    let (keys, tensors) = gguf::read(map.clone()).map_err(|message| Error::broken(path, message))?;
    let says = |key: &str| keys.uint(key);
    if of > 1 && (says("split.no"), says("split.count")) != (Some(number as u64), Some(of as u64)) {
        let message = format!(
            "by its name this is part {} of {of}, by `split.no` and `split.count` it is not",
            number + 1
        );
        return Err(Error::broken(path, message));
    }
    checkpoint.files.push(map);
    for (name, mut entry) in tensors {
        entry.file = number;
        checkpoint.insert(name, entry, path)?;
    }
    checkpoint.gguf.get_or_insert(keys);
    Ok(())
}

fn of_index(path: &Path) -> Result<Checkpoint, Error> {
    let listed = shards(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut names: Vec<&String> = listed.values().collect();
    names.sort();
    names.dedup();
    let mut checkpoint = Checkpoint::default();
    let all = names.len();
    for (number, name) in names.into_iter().enumerate() {
        let shard: PathBuf = folder.join(name);
        if !shard.exists() {
            let message = format!("{name}, one of {all} files that the index names, is not there");
            return Err(Error::broken(path, message));
        }
        checkpoint.files.push(map(&shard)?);
        safe::add(&mut checkpoint, number, &shard)?;
    }
    let missing = listed.iter().find(|(name, _)| !checkpoint.tensors.contains_key(*name));
    match missing {
        Some((name, file)) => Err(Error::broken(path, format!("tensor `{name}` is not in {file}"))),
        None => Ok(checkpoint),
    }
}

/// Tensor to file name, from an index.
fn shards(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    if regular(path)? > LARGEST_INDEX {
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
