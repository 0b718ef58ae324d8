//! The arguments of commands that give a model's encoder what it reads.

use std::path::PathBuf;

use clap::Args;

/// What the encoder reads, of models that have one, before the first token.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Text for the model's encoder, where it has one; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["source_tokens", "source_input"])]
    pub(crate) source: Option<String>,
    /// Token ids for the model's encoder, `1,2,3`; `-`: from standard input
    #[arg(
        long,
        value_name = "IDS",
        allow_hyphen_values = true,
        conflicts_with = "source_input"
    )]
    pub(crate) source_tokens: Option<String>,
    /// Safetensors file with one tensor [rows, ...] for each input stream of the model's encoder; `-`: standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) source_input: Option<PathBuf>,
}

impl Source {
    /// Whether there is any.
    pub(crate) fn is_given(&self) -> bool {
        self.source.is_some() || self.source_tokens.is_some() || self.source_input.is_some()
    }
}
