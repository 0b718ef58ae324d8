//! `seqc eval`: what a model means, computed slowly and exactly.

use super::session::{ModelArgs, Session};
use crate::{
    diag::Diagnostic,
    reference::{self, Given, Output},
};
use clap::Args;
use seqc_checkpoint::output;
use seqc_ir::{Model, eval::Tensor};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Token ids: 1,2,3
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = token,
        conflicts_with = "input",
        required_unless_present = "input"
    )]
    tokens: Vec<i64>,
    /// Input streams: a safetensors file with one tensor `[tokens, …]` for each, by name
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Token ids for the encoder, of models that have one: 1,2,3
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = token, conflicts_with = "source_input")]
    source_tokens: Vec<i64>,
    /// Streams for the encoder, in such a file; those of --input unless given
    #[arg(long, value_name = "FILE")]
    source_input: Option<PathBuf>,
    /// Output: a safetensors file of f32
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The prompt is so many tokens from the start; cache policies may ask for it
    #[arg(long, value_name = "N")]
    prompt_length: Option<usize>,
    /// Write f64, the precision of the computation
    #[arg(long)]
    f64: bool,
}

fn token(text: &str) -> Result<i64, String> {
    let digits = text.trim_matches(['[', ']', ' ']);
    digits.parse().map_err(|_| "token ids are integers: 1,2,3".to_owned())
}

pub(crate) fn eval(session: &mut Session, args: &EvalArgs) -> u8 {
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    session.warn(&built);
    let mut inputs = built.inputs.clone();
    inputs.extend(args.input.iter().chain(&args.source_input).cloned());
    if let Err(e) = output::check(&args.output, &inputs) {
        return session.fail("write", e);
    }
    let rows = match &args.input {
        Some(path) => reference::file_rows(&built.model, path),
        None => reference::token_rows(&built.model, &args.tokens),
    };
    let outputs = rows.and_then(|rows| {
        let given = Given {
            rows: &rows,
            memory: &memory_rows(&built.model, args)?,
            prompt: args.prompt_length,
        };
        reference::run_given(&built, &given)
    });
    let outputs = match outputs {
        Ok(outputs) => outputs,
        Err(e) => return session.report(&[e.diagnostic()]),
    };
    let status = session.write(&args.output, &inputs, &file(&outputs, args.f64));
    session.remark(&outputs.iter().find_map(not_finite).into_iter().collect::<Vec<_>>());
    status
}

/// A warning about the first number of an output that is none, or infinite; minus infinity excludes a token.
fn not_finite(output: &Output) -> Option<Diagnostic> {
    let is_odd = |x: &f64| !x.is_finite() && *x != f64::NEG_INFINITY;
    let at = output.data.iter().position(is_odd)?;
    let each = output.shape.iter().skip(1).product::<usize>().max(1);
    let (name, number) = (&output.name, output.data[at]);
    let message = format!("`{name}` has {number} at entry {} of token {}", at % each, at / each);
    let d = Diagnostic::warning("not-finite", message);
    Some(d.help("a weight may be no number, or a step of a layer divides by zero or overflows"))
}

/// What the encoder reads.
fn memory_rows(model: &Model, args: &EvalArgs) -> Result<Vec<Vec<Tensor>>, reference::Error> {
    if !args.source_tokens.is_empty() {
        return reference::memory_token_rows(model, &args.source_tokens);
    }
    if args.source_input.is_some() && !model.has_memory() {
        return Err(reference::no_memory());
    }
    match args.source_input.as_ref().or(args.input.as_ref()) {
        Some(path) if model.has_memory() => reference::memory_file_rows(model, path),
        _ => Ok(Vec::new()),
    }
}

/// A safetensors file: the length of the header, the header, the elements.
fn file(tensors: &[Output], double: bool) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut start = 0;
    let (ty, size) = if double { ("F64", 8) } else { ("F32", 4) };
    for tensor in tensors {
        let end = start + tensor.data.len() * size;
        let entry = serde_json::json!({"dtype": ty, "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(tensor.name.clone(), entry);
        start = end;
    }
    let mut header = serde_json::Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    for v in tensors.iter().flat_map(|t| &t.data) {
        match double {
            true => out.extend(v.to_le_bytes()),
            false => out.extend((*v as f32).to_le_bytes()),
        }
    }
    out
}
