//! The arguments of the command line.

mod loading;
mod parsers;
mod scores;
mod source;
mod texts;

use std::path::PathBuf;

use crate::places;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::fields::MOST_SAMPLES;
#[cfg(feature = "server")]
use crate::pooling::Pooling;
pub(crate) use loading::Loading;
pub(crate) use parsers::{BiasWord, Seed};
use parsers::{at_least_one, bias, lookup, number, number_or_all, seed, up_to, whole};
pub(crate) use scores::{Cutting, Perplexity, Scores, Tasks};
pub(crate) use source::Source;
pub(crate) use texts::{Embed, TemplateWords, Tokenize};

/// Bounds of a server, far beyond what makes sense.
#[cfg(feature = "server")]
mod most {
    /// Sequences in a batch.
    pub(super) const SEQUENCES: usize = 1024;
    /// Sequences in the queue.
    pub(super) const QUEUE: usize = 1 << 17;
    /// Tokens of prompts in a step.
    pub(super) const PROMPT_CHUNK: usize = 1 << 16;
    /// MiB of a request.
    pub(super) const BODY: usize = 1024;
}

/// The command line of every program.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, disable_help_subcommand = true)]
pub(crate) struct Words {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Print errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more to standard error; twice: even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The commands of a program.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Print streams, parameters and state
    Info(Info),
    /// Write the output of every token
    Logits(Logits),
    /// Run the model on a file of input streams
    Run(Run),
    /// Continue a prompt
    Generate(Box<Generate>),
    /// Hold a conversation: message by message on a terminal, else one message from standard input
    #[cfg(feature = "program")]
    Chat(Box<Chat>),
    /// Serve requests over HTTP in continuous batches, with OpenAI's API
    #[cfg(feature = "server")]
    Serve(Serve),
    /// Measure prefill and decoding, in tokens per second
    Bench(Bench),
    /// Measure how likely the model finds a text: mean negative log likelihood of a token, and perplexity
    Perplexity(Box<Perplexity>),
    /// Print the tokens of a text, or the text of tokens
    Tokenize(Box<Tokenize>),
    /// Write one vector for each text
    Embed(Box<Embed>),
    /// Answer the tasks of a file, such as `seqc tasks` writes, and count right answers
    Tasks(Box<Tasks>),
    /// Draft tokens for a program that was started with `--draft`: requests and answers are lines of JSON
    #[command(hide = true)]
    Propose(Propose),
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options for every command that reads a sequence.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    pub(crate) loading: Loading,
    /// Split the input into chunks of these sizes; the last one repeats
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',', value_parser = at_least_one)]
    pub(crate) chunk: Vec<usize>,
    /// Continue from a saved state
    #[arg(long, value_name = "FILE")]
    pub(crate) load_state: Option<PathBuf>,
    /// Continue after the first N tokens of the saved state
    #[arg(long, value_name = "N", requires = "load_state", value_parser = whole::<u64>)]
    pub(crate) truncate: Option<u64>,
    /// Save the state to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) save_state: Option<PathBuf>,
}

/// Where the prompt ends, for commands that do not answer it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PromptEnd {
    /// The prompt is the first N tokens of the sequence, those of a loaded state included; default: its end is not known
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) prompt_length: Option<usize>,
}

/// How tensors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One file of named tensors
    Safetensors,
    /// Lists of numbers
    Json,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("sequence").args(["tokens", "prompt"]).required(true)))]
#[command(group(clap::ArgGroup::new("text").args(["prompt", "source"]).multiple(true)))]
pub(crate) struct Logits {
    /// Token ids, `1,2,3`; `-`: from standard input. Several times: sequences that are read together, in one batch, and
    /// whose rows follow each other
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    pub(crate) tokens: Vec<String>,
    /// A text instead of its tokens; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH", requires = "text")]
    pub(crate) tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// File to write, safetensors or `.json`; `-`: JSON to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Format of the output; default: by the file name
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Also write `trace` values: outputs whose names begin with `trace.`, and which tokens caches keep
    #[arg(long)]
    pub(crate) trace: bool,
    #[command(flatten)]
    pub(crate) end: PromptEnd,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Safetensors file with one tensor [tokens, ...] for each input stream, under its name; `-`: standard input. Several
    /// times: sequences that are read together, in one batch, and whose rows follow each other
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) input: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// File to write, safetensors or `.json`; `-`: JSON to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Format of the output; default: by the file name
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Also write `trace` values: outputs whose names begin with `trace.`, and which tokens caches keep
    #[arg(long)]
    pub(crate) trace: bool,
    #[command(flatten)]
    pub(crate) end: PromptEnd,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("start").args(["prompt", "chat", "prompt_tokens"])))]
pub(crate) struct Generate {
    /// Text to continue; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// A user's message, rendered with the model's chat template; `-`: from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) chat: Option<String>,
    /// Token ids to continue, `1,2,3`; `-`: from standard input
    #[arg(long, value_name = "IDS", allow_hyphen_values = true)]
    pub(crate) prompt_tokens: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// A system message before the user's
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system: Option<String>,
    #[command(flatten)]
    pub(crate) template: TemplateWords,
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// Answers, each sampled by itself with the next seed; the prompt is read once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to::<MOST_SAMPLES>)]
    pub(crate) samples: usize,
    /// Print one JSON object at the end instead of streaming the text
    #[arg(long)]
    pub(crate) json: bool,
    /// Log probabilities of every token, and of the N most likely ones, in the JSON object
    #[arg(long, value_name = "N", requires = "json", value_parser = whole::<usize>)]
    pub(crate) logprobs: Option<usize>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[cfg(feature = "program")]
#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// A system message before the conversation
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) system: Option<String>,
    /// Read a message from each line of standard input, as on a terminal; otherwise all of it is one message
    #[arg(long)]
    pub(crate) interactive: bool,
    #[command(flatten)]
    pub(crate) template: TemplateWords,
    #[command(flatten)]
    pub(crate) answers: Answers,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How answers come.
#[derive(Debug, Args)]
pub(crate) struct Answers {
    /// Maximum number of tokens; -1: up to the end of the text or of the context
    #[arg(short = 'n', long, value_name = "N", default_value = "256", allow_hyphen_values = true, value_parser = number_or_all)]
    pub(crate) max_tokens: usize,
    #[command(flatten)]
    pub(crate) sampling: SamplingWords,
    /// Stop text, which is not printed; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) stop: Vec<String>,
    #[command(flatten)]
    pub(crate) form: Form,
    /// Continue after end-of-sequence tokens
    #[arg(long, conflicts_with = "form")]
    pub(crate) ignore_eos: bool,
    #[command(flatten)]
    pub(crate) drafts: Drafts,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
}

impl Answers {
    /// Files that answering reads.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let tokenizer = self.tokenizer.iter().flat_map(|path| places::with_folder(path));
        let others = [&self.form.json_schema, &self.form.grammar, &self.drafts.draft];
        tokenizer.chain(others.into_iter().flatten().cloned()).collect()
    }
}

/// How tokens are drafted.
#[derive(Debug, Args)]
pub(crate) struct Drafts {
    /// Speculative decoding: draft up to K tokens by looking up the last ones in the text, and read them in one step
    #[arg(long, value_name = "lookup[:K]", value_parser = lookup)]
    pub(crate) speculate: Option<usize>,
    /// Speculative decoding: another program, of a smaller model with the same tokenizer, drafts
    #[arg(long, value_name = "PROGRAM", conflicts_with = "speculate")]
    pub(crate) draft: Option<PathBuf>,
    /// Maximum number of tokens of a draft of that program
    #[arg(long, value_name = "K", default_value_t = 4, requires = "draft", value_parser = up_to::<64>)]
    pub(crate) draft_tokens: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Propose {
    #[command(flatten)]
    pub(crate) loading: Loading,
}

/// The form that an answer must have.
#[derive(Debug, Args)]
#[group(id = "form", multiple = false)]
pub(crate) struct Form {
    /// Answer with a JSON object
    #[arg(long)]
    pub(crate) json_object: bool,
    /// Answer with JSON that is valid under this JSON schema
    #[arg(long, value_name = "FILE")]
    pub(crate) json_schema: Option<PathBuf>,
    /// Answer with a sentence of this grammar, in the syntax of Lark
    #[arg(long, value_name = "FILE")]
    pub(crate) grammar: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SamplingWords {
    /// Sampling temperature; 0: greedy decoding
    #[arg(long, value_name = "T", default_value_t = 0.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) temperature: f32,
    /// Sample from the K most likely tokens; 0: all
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) top_k: usize,
    /// Sample from the most likely tokens with this cumulative probability
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) top_p: f32,
    /// Sample from tokens at least P times as likely as the most likely one
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) min_p: f32,
    /// Sample from the locally typical tokens with this cumulative probability
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) typical_p: f32,
    /// Divide the logits of tokens in the text by R; 1: no penalty
    #[arg(long, value_name = "R", default_value_t = 1.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) repetition_penalty: f32,
    /// Subtract A from the logits of generated tokens
    #[arg(long, value_name = "A", default_value_t = 0.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) presence_penalty: f32,
    /// Subtract A from the logit of a token for each time it was generated
    #[arg(long, value_name = "A", default_value_t = 0.0, allow_hyphen_values = true, value_parser = number)]
    pub(crate) frequency_penalty: f32,
    /// Add a number to the logit of a token, given by its id or its text; may be given several times
    #[arg(long, value_name = "TOKEN=VALUE", allow_hyphen_values = true, value_parser = bias)]
    pub(crate) logit_bias: Vec<BiasWord>,
    /// Seed of the sampling; -1: a random seed
    #[arg(long, value_name = "S", default_value = "0", allow_hyphen_values = true, value_parser = seed)]
    pub(crate) seed: Seed,
}

#[cfg(feature = "server")]
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on; 0.0.0.0: all interfaces
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Port; 0: any free port
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = whole::<u16>)]
    pub(crate) port: u16,
    /// Sequences in a batch
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = up_to::<{ most::SEQUENCES }>)]
    pub(crate) max_sequences: usize,
    /// Length of the queue, in sequences; further requests are rejected
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = up_to::<{ most::QUEUE }>)]
    pub(crate) queue: usize,
    /// Maximum length of a sequence with prompt; default: the length that the model was trained at
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) context: Option<usize>,
    /// Maximum number of generated tokens of a sequence
    #[arg(short = 'n', long, value_name = "N", default_value_t = 4096, value_parser = at_least_one)]
    pub(crate) max_tokens: usize,
    /// Prompt tokens in a step while other sequences decode: bounds their time between tokens
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = up_to::<{ most::PROMPT_CHUNK }>)]
    pub(crate) prompt_chunk: usize,
    /// Memory of the prefix cache in MiB: prompts that begin alike are read once; 0: none
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = whole::<usize>)]
    pub(crate) prefix_cache: usize,
    /// Tokens between two snapshots of a prompt, for models with recurrent states or windows
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = at_least_one)]
    pub(crate) snapshot_interval: usize,
    #[command(flatten)]
    pub(crate) drafts: Drafts,
    /// Time limit of a request in seconds, with its time in the queue; 0: none
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = whole::<u64>)]
    pub(crate) timeout: u64,
    /// Maximum size of a request in MiB
    #[arg(long, value_name = "MB", default_value_t = 4, value_parser = up_to::<{ most::BODY }>)]
    pub(crate) max_body: usize,
    /// API key that clients must send; visible to other users in the list of processes
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) api_key: Option<String>,
    /// File whose first line is the API key
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// How token vectors are pooled to one embedding
    #[arg(long, value_enum, default_value_t = Pooling::Mean)]
    pub(crate) pooling: Pooling,
    /// `tokenizer.json`, a directory that contains one, or a GGUF file, instead of the built-in path
    #[arg(long, value_name = "PATH")]
    pub(crate) tokenizer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: Loading,
}

/// How measurements are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// A table in Markdown
    Md,
    /// One JSON object, with the machine's data
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Prompt lengths to measure; 0: none
    #[arg(
        short = 'p',
        long,
        value_name = "N[,N...]",
        value_delimiter = ',',
        default_value = "512", value_parser = whole::<usize>)]
    pub(crate) n_prompt: Vec<usize>,
    /// Numbers of tokens to decode; 0: none
    #[arg(
        short = 'n',
        long,
        value_name = "N[,N...]",
        value_delimiter = ',',
        default_value = "128", value_parser = whole::<usize>)]
    pub(crate) n_gen: Vec<usize>,
    /// Context length before decoding
    #[arg(short = 'd', long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub(crate) n_depth: usize,
    /// Rows of the source, of a model with an encoder; default: 512, or as many as it reads
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) source_rows: Option<usize>,
    /// Numbers of sequences to decode at once
    #[arg(short, long, value_name = "N[,N...]", value_delimiter = ',', default_value = "1", value_parser = at_least_one)]
    pub(crate) batch: Vec<usize>,
    /// Repetitions, after one warm-up run
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub(crate) repetitions: usize,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Table::Md)]
    pub(crate) output: Table,
    /// Split the prompts into chunks of these sizes; the last one repeats
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',', value_parser = at_least_one)]
    pub(crate) chunk: Vec<usize>,
    #[command(flatten)]
    pub(crate) loading: Loading,
}
