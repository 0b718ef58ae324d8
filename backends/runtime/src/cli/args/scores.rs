//! The arguments of commands that measure what a model knows.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{loading::Loading, parsers::at_least_one};

/// How scores are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scores {
    /// Lines for a reader
    Text,
    /// One JSON object
    Json,
}

/// How a text is cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cutting {
    /// Windows overlap, and every token but the first is scored
    Strided,
    /// Windows one after another, each from a token that begins texts, of which the second half is scored: what
    /// `llama-perplexity` does
    Llama,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("scored").args(["path", "file", "text", "tokens"]).required(true)))]
pub(crate) struct Perplexity {
    /// File of the text; `-`: from standard input
    #[arg(value_name = "FILE")]
    pub(crate) path: Option<PathBuf>,
    /// The same as an option
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The text; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
    /// Token ids instead of a text, `1,2,3`; `-`: from standard input
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    pub(crate) tokens: Option<String>,
    /// Read the text in windows of N tokens; default: the length that the model was trained at
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) context: Option<usize>,
    /// How the text is cut into windows
    #[arg(long, value_enum, default_value_t = Cutting::Strided)]
    pub(crate) windows: Cutting,
    /// Tokens from the start of a window to that of the next; default: half of a window, or what a prompt leaves of it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) stride: Option<usize>,
    /// The first N tokens of each window are a prompt, which is not scored
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) prompt_length: Option<usize>,
    /// Scores for each of K equal parts of a window, too
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub(crate) by_position: Option<usize>,
    /// Logits of another model for the same text, as its `logits -o FILE.safetensors` writes them: how far this model's distributions are
    /// from its
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = Scores::Text)]
    pub(crate) format: Scores,
    /// Split each window into chunks of these sizes; the last one repeats
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',', value_parser = at_least_one)]
    pub(crate) chunk: Vec<usize>,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: Loading,
}

#[derive(Debug, Args)]
pub(crate) struct Tasks {
    /// File with a JSON object on each line, as `seqc tasks` writes it; `-`: from standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Maximum number of tokens of an answer
    #[arg(short = 'n', long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(crate) max_tokens: usize,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = Scores::Text)]
    pub(crate) format: Scores,
    /// Split each prompt into chunks of these sizes; the last one repeats
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',', value_parser = at_least_one)]
    pub(crate) chunk: Vec<usize>,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: Loading,
}
