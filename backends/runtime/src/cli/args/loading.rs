//! The arguments of every command that runs the model.

use std::path::PathBuf;

use clap::Args;

use super::parsers::whole;

/// Weights and threads: for every command that runs the model.
#[derive(Debug, Args)]
pub(crate) struct Loading {
    /// Checkpoint to use instead of the built-in path: safetensors, a directory of them, or GGUF
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    /// Threads; 0: one for each core, or a single one for a small model
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) threads: usize,
}
