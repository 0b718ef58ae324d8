//! Checkpoints: safetensors files, folders of them, and GGUF files, mapped into memory and read with bounds.
//!
//! A checkpoint is untrusted. Counts, lengths and offsets in it are checked against the size of the file before
//! anything is read or allocated; whatever does not add up is an [`Error`].

mod bundle;
mod files;
mod gguf;
mod open;
pub mod output;
mod parts;
mod quantised;
mod safe;
mod tensor;

pub use bundle::Bundle;
pub use files::{COMPANIONS, Source, companions, read_at_most, take_at_most};
pub use gguf::{Array, Metadata, Value};
pub use quantised::unquantised;
pub use safe::foreign;
pub use tensor::TensorRef;

use std::{
    collections::{BTreeMap, btree_map},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;
use seqc_formats::Encoding;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to give the file.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not what it claims to be.
    #[error("{}: {message}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where in the file.
        message: String,
    },
    /// A tensor is stored in a way that cannot be turned into numbers here.
    #[error(
        "tensor `{tensor}` is stored as {encoding}, which cannot be read; {} can",
        Encoding::readable()
    )]
    Encoding {
        /// The tensor.
        tensor: String,
        /// How it is stored.
        encoding: Encoding,
    },
}

impl Error {
    fn broken(path: &Path, message: impl Into<String>) -> Error {
        Error::Broken {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

/// A set of named tensors in one or several mapped files.
///
/// The files must not be truncated while the checkpoint is open: the system would end the process.
#[derive(Debug, Default)]
pub struct Checkpoint {
    files: Vec<Arc<Mmap>>,
    /// The files on the disk that were read, an index included.
    paths: Vec<PathBuf>,
    tensors: BTreeMap<String, Entry>,
    gguf: Option<Metadata>,
}

/// Where a tensor lies.
#[derive(Debug)]
pub(crate) struct Entry {
    file: usize,
    start: usize,
    bytes: usize,
    encoding: Encoding,
    shape: Vec<usize>,
}

impl Checkpoint {
    /// Opens a safetensors file, a folder with `model.safetensors` or `model.safetensors.index.json`, such an index, or a
    /// GGUF file. The content decides which, not the name. A file that is one of several (`-00001-of-00003`) opens them all.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, and files whose headers do not agree with themselves or with the files' sizes. Pipes and
    /// devices are never opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
        open::open(&path.as_ref().into())
    }

    /// [`Checkpoint::open`] of files that may lie inside a program.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn open_source(source: &Source) -> Result<Checkpoint, Error> {
        open::open(source)
    }

    /// The files on the disk that the tensors lie in, and the index that lists them.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Adds a tensor of the file at `path`.
    fn insert(&mut self, name: String, entry: Entry, path: &Path) -> Result<(), Error> {
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

    /// A tensor by its name.
    pub fn get(&self, name: &str) -> Option<TensorRef<'_>> {
        let (name, entry) = self.tensors.get_key_value(name)?;
        let bytes = self.files.get(entry.file)?.get(entry.start..)?.get(..entry.bytes)?;
        Some(TensorRef {
            name,
            encoding: entry.encoding,
            shape: entry.shape.clone(),
            bytes,
        })
    }

    /// Keys and values of a GGUF file; `None` for safetensors.
    pub fn gguf(&self) -> Option<&Metadata> {
        self.gguf.as_ref()
    }

    /// Bytes of the mapped files.
    pub fn file_bytes(&self) -> usize {
        self.files.iter().map(|file| file.len()).sum()
    }

    /// Hints the system to read the files ahead.
    pub fn prefetch(&self) {
        for file in &self.files {
            // Pages come on first use when the hint is refused.
            let _ = file.advise(memmap2::Advice::WillNeed);
        }
    }
}
