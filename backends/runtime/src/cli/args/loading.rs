//! The arguments of every command that runs the model.

use std::path::PathBuf;

use clap::Args;

use super::parsers::{bytes, whole};
use crate::{
    cache_file::{CacheFile, RESIDENT},
    model::Options,
};

/// Weights, threads and where caches lie: for every command that runs the model.
#[derive(Debug, Args)]
pub(crate) struct Loading {
    /// Checkpoint to use instead of the built-in path: safetensors, a directory of them, or GGUF
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    /// Threads; 0: one for each core, or a single one for a small model
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) threads: usize,
    /// The GPU, by its number
    #[cfg(feature = "cuda")]
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) device: usize,
    /// Keep what attention caches in a file without a name in this folder of a disk, and only a part of it in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_file: Option<PathBuf>,
    /// How much of the cache file is kept in memory, at least 16M; default: 1G
    #[arg(long, value_name = "BYTES", requires = "cache_file", value_parser = bytes)]
    pub(crate) cache_resident: Option<usize>,
}

impl Loading {
    /// How the model is loaded.
    pub(crate) fn options(&self) -> Options {
        let cache_file = self.cache_file.as_ref().map(|folder| CacheFile {
            folder: folder.clone(),
            resident: self.cache_resident.unwrap_or(RESIDENT),
        });
        #[cfg(feature = "cuda")]
        crate::device::choose(self.device);
        Options {
            weights: self.weights.clone(),
            threads: self.threads,
            measures: false,
            cache_file,
        }
    }
}
