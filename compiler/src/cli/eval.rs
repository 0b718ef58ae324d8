//! `seqc eval`: what a model means, computed slowly and exactly.

use super::{ModelArgs, OK, Session};
use crate::reference;
use clap::Args;
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
        conflicts_with = "input",
        required_unless_present = "input"
    )]
    tokens: Vec<i64>,
    /// Streams by name in a safetensors file, `[tokens, …]` each
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where the results go: a safetensors file of f32
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn eval(session: &mut Session, args: &EvalArgs) -> u8 {
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    let rows = match &args.input {
        Some(path) => reference::file_rows(&built.model, path),
        None => reference::token_rows(&built.model, &args.tokens),
    };
    let outputs = match rows.and_then(|rows| reference::run(&built, &rows)) {
        Ok(outputs) => outputs,
        Err(e) => return session.fail("eval", e),
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = outputs
        .into_iter()
        .map(|o| {
            let bytes = o.data.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
            (o.name, o.shape, bytes)
        })
        .collect();
    match write(&tensors, &args.output) {
        Ok(()) => OK,
        Err(e) => session.fail("write", format!("{}: {e}", args.output.display())),
    }
}

/// Writes f32 tensors as a safetensors file: the length of the header, the header, the elements.
fn write(tensors: &[(String, Vec<usize>, Vec<u8>)], path: &std::path::Path) -> std::io::Result<()> {
    let mut header = serde_json::Map::new();
    let mut start = 0;
    for (name, shape, bytes) in tensors {
        let end = start + bytes.len();
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}),
        );
        start = end;
    }
    let mut header = serde_json::Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    tensors.iter().for_each(|(_, _, bytes)| out.extend(bytes));
    std::fs::write(path, out)
}
