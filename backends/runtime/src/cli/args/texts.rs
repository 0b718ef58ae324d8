//! The arguments of commands about texts, and of chat templates.

use std::path::PathBuf;

use clap::Args;

use super::{loading::Loading, parsers::variable};
use crate::pooling::Pooling;

/// What chat templates are given beside the messages.
#[derive(Debug, Args)]
pub(crate) struct TemplateWords {
    /// JSON file with the list of tools that the chat template shows to the model
    #[arg(long, value_name = "FILE")]
    pub(crate) tools: Option<PathBuf>,
    /// JSON file with the list of documents that the chat template shows to the model
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: Option<PathBuf>,
    /// A further variable of the chat template, such as `enable_thinking=false`: JSON, or a text; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) template_arg: Vec<(String, serde_json::Value)>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("given").args(["prompt", "chat", "tokens"]).required(true)))]
pub(crate) struct Tokenize {
    /// Text whose tokens are printed, with those that stand at the start of a sequence; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// A user's message, rendered with the model's chat template; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) chat: Option<String>,
    /// A system message before the user's
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system: Option<String>,
    #[command(flatten)]
    pub(crate) template: TemplateWords,
    /// Token ids, `1,2,3`, whose text is printed; `-`: from standard input
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    pub(crate) tokens: Option<String>,
    /// Print one JSON object: the tokens, what each of them says, and the text
    #[arg(long)]
    pub(crate) json: bool,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("texts").args(["prompt", "tokens", "file"]).required(true).multiple(true)))]
pub(crate) struct Embed {
    /// A text; `-`: from standard input. May be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Vec<String>,
    /// Token ids of a text, `1,2,3`; may be given several times
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    pub(crate) tokens: Vec<String>,
    /// File with a text on each line; `-`: from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How the vectors of tokens become one
    #[arg(long, value_enum, default_value_t = Pooling::Mean)]
    pub(crate) pooling: Pooling,
    /// Leave vectors as long as they are; otherwise they have the length 1
    #[arg(long)]
    pub(crate) raw: bool,
    /// File to write, safetensors or `.json`; `-`: JSON to standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: Loading,
}
