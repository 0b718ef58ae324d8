//! Named tensors in mapped files.

use std::{
    collections::{BTreeMap, btree_map},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    entry::Entry, error::Error, files::Source, gguf::Metadata, mapping::Mapping, scales::Scales, tensor::TensorRef,
    view,
};

/// A set of named tensors in one or several mapped files.
///
/// The files must not be truncated while the checkpoint is open: the system would end the process.
#[derive(Debug, Default)]
pub struct Checkpoint {
    pub(crate) files: Vec<Arc<Mapping>>,
    /// The files on the disk that were read, an index included.
    paths: Vec<PathBuf>,
    pub(crate) tensors: BTreeMap<String, Entry>,
    pub(crate) gguf: Option<Metadata>,
}

impl Checkpoint {
    /// The files on the disk that the tensors lie in, and the index that lists them.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Adds a file, whose number is that of the files before.
    pub(crate) fn add_file(&mut self, source: &Source, map: Arc<Mapping>) {
        self.files.push(map);
        self.add_path(source);
    }

    /// Says that a file on the disk was read.
    pub(crate) fn add_path(&mut self, source: &Source) {
        if let Source::Disk(path) = source {
            self.paths.push(path.clone());
        }
    }

    /// Adds a tensor of the file at `path`.
    pub(crate) fn insert(&mut self, name: String, entry: Entry, path: &Path) -> Result<(), Error> {
        match self.tensors.entry(name) {
            btree_map::Entry::Occupied(there) => {
                let message = format!("tensor `{}` is in two files", there.key());
                Err(Error::broken(path, message))
            }
            btree_map::Entry::Vacant(place) => {
                place.insert(entry);
                Ok(())
            }
        }
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor by its name, or a part of one (see [`base`](crate::base)).
    pub fn get(&self, reference: &str) -> Option<TensorRef<'_>> {
        match self.whole(reference) {
            Some(tensor) => Some(tensor),
            None => view::viewed(reference, self.whole(view::base(reference))?),
        }
    }

    fn whole(&self, name: &str) -> Option<TensorRef<'_>> {
        let (name, entry) = self.tensors.get_key_value(name)?;
        Some(TensorRef {
            name,
            encoding: entry.encoding,
            shape: entry.shape.clone(),
            bytes: self.bytes_of(entry)?,
            scales: self.scales(entry),
            exponents: match &entry.exponents {
                Some(exponents) => Some(self.bytes_of(exponents)?),
                None => None,
            },
            transposed: false,
        })
    }

    fn scales(&self, entry: &Entry) -> Option<Scales<'_>> {
        let placed = entry.scales.as_ref()?;
        let bytes = self.bytes_of(&placed.entry)?;
        Some(Scales::new(placed.entry.encoding, bytes, placed.grid))
    }

    fn bytes_of(&self, entry: &Entry) -> Option<&[u8]> {
        self.files.get(entry.file)?.get(entry.start..)?.get(..entry.bytes)
    }

    /// Keys and values of a GGUF file; `None` for safetensors.
    pub fn gguf(&self) -> Option<&Metadata> {
        self.gguf.as_ref()
    }

    /// Bytes of the mapped files.
    pub fn file_bytes(&self) -> usize {
        self.files.iter().map(|file| file.len()).sum()
    }

    /// Lets the memory go that the files' parts of a tensor take: who has copied it does not read them again.
    pub fn release(&self, tensor: &TensorRef) {
        for bytes in [Some(tensor.bytes), tensor.exponents].into_iter().flatten() {
            self.files.iter().for_each(|file| file.release(bytes));
        }
    }

    /// Hints the system to read the files ahead.
    pub fn prefetch(&self) {
        for file in &self.files {
            file.prefetch();
        }
    }
}
