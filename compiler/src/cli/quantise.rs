//! `seqc quantise`: the checkpoint of a model with smaller weights.

use super::session::{ModelArgs, OK, Session};
use crate::{
    diag::{Diagnostic, Placed},
    model::Built,
    quantise::{self, Importance, Refusal, Rules},
};
use clap::Args;
use seqc_checkpoint::{output::Output, read_at_most};
use seqc_formats::Encoding;
use seqc_grammar::yaml::MAX_TEXT;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct QuantiseArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Type of the matrices and tables: q4_k, q8_0, bf16, …
    #[arg(long = "type", value_name = "TYPE")]
    encoding: String,
    /// YAML file with types of some of them by name: `"*embed_tokens*": q6_k`
    #[arg(long, value_name = "FILE.yaml")]
    rules: Option<PathBuf>,
    /// Tokens of a text, as `PROGRAM tokenize --json` prints them, and under `source` those that an encoder reads: errors count by the mean
    /// squares of what is multiplied there
    #[arg(long, value_name = "TOKENS.json")]
    importance: Option<PathBuf>,
    /// The GGUF file to write
    #[arg(short, long, value_name = "FILE.gguf")]
    output: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

pub(crate) fn quantise(session: &mut Session, args: &QuantiseArgs) -> u8 {
    let encoding = match quantise::encoding(&args.encoding) {
        Ok(encoding) => encoding,
        Err(message) => return session.fail("usage", format!("--type {}: {message}", args.encoding)),
    };
    let named = match &args.rules {
        None => Vec::new(),
        Some(path) => match named(session, path) {
            Ok(rules) => rules,
            Err(status) => return status,
        },
    };
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    let mut inputs = built.inputs.clone();
    inputs.extend(args.rules.iter().chain(&args.importance).cloned());
    if let Err(status) = session.may_replace(&args.output, &inputs, None, args.force) {
        return status;
    }
    let importance = match &args.importance {
        None => Importance::default(),
        Some(path) => match importance(session, path, &built) {
            Ok(importance) => importance,
            Err(status) => return status,
        },
    };
    let rules = Rules {
        encoding,
        named,
        importance,
    };
    let quantised = match quantise::quantised(&built, &rules) {
        Ok(quantised) => quantised,
        Err(Refusal(code, message)) => return session.fail(code, message),
    };
    let progress = session.progress(format!("quantising {}", args.file.display()));
    let failed = |error: seqc_checkpoint::output::Error| Refusal("write", error.to_string());
    let written = Output::create(&args.output, &inputs)
        .map_err(failed)
        .and_then(|mut out| {
            let written = quantised.write(&mut out)?;
            out.commit().map_err(failed)?;
            Ok(written)
        });
    drop(progress);
    match written {
        Ok(written) => {
            let mut text = format!(
                "wrote {}: {} tensors quantised, {:.1} MB in all",
                args.output.display(),
                written.tensors,
                written.bytes as f64 / 1e6
            );
            if written.similar > 0 {
                text.push_str(&format!(
                    "; {} of them with shorter blocks, which their rows are whole ones of",
                    written.similar
                ));
            }
            if let Some(first) = written.left.first() {
                text.push_str(&format!(
                    "; {} matrices stay as they are, since their rows fit no block or they are read transposed: `{first}`, …",
                    written.left.len()
                ));
            }
            if written.small > 0 {
                text.push_str(&format!(
                    "; {} stay as they are, since they are small beside others of their layer",
                    written.small
                ));
            }
            if built.tensors.encoding.is_some() {
                text.push_str("; without its `weights.type`, the model reads the file as it is stored");
            }
            session.say(&text);
            OK
        }
        Err(Refusal(code, message)) => session.fail(code, message),
    }
}

/// The rules of a file.
fn named(session: &mut Session, path: &Path) -> Result<Vec<(String, Encoding)>, u8> {
    let text =
        read_at_most(path, MAX_TEXT as u64).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    let text = text.map_err(|error| session.fail("usage", format!("--rules {}: {error}", path.display())))?;
    let id = session.sources.add(path.display().to_string(), text);
    quantise::rules(id, &session.sources).map_err(|d| session.report(&d))
}

/// How much columns count for the tokens of a file.
fn importance(session: &mut Session, path: &Path, built: &Built) -> Result<Importance, u8> {
    let shown = path.display();
    let wrong = |why: String| format!("--importance {shown}: {why}");
    let text = read_at_most(path, MAX_TEXT as u64).map_err(|error| session.fail("usage", wrong(error.to_string())))?;
    let read = |key: &str| tokens(&text, key).map_err(|why| session.fail("usage", wrong(why)));
    let (tokens, source) = (read("tokens")?, read("source")?);
    let progress = session.progress(format!("reading {} tokens", tokens.len()));
    let found = Importance::of_text(built, &tokens, &source);
    drop(progress);
    found.map_err(|error| session.report(&[Diagnostic::bare("eval", wrong(error.to_string())).help(error.help())]))
}

/// The ids under a key of an object. A list alone is that of `tokens`, which are there; others may be missing.
fn tokens(text: &[u8], key: &str) -> Result<Vec<i64>, String> {
    let wrong = "a list of tokens is expected, as `PROGRAM tokenize --json` prints it";
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("{wrong}: {error}"))?;
    let is_main = key == "tokens";
    let list = match value.get(key) {
        None if !is_main => return Ok(Vec::new()),
        None => value.as_array(),
        Some(list) => list.as_array(),
    };
    let ids = list.and_then(|list| list.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>());
    ids.filter(|ids| !ids.is_empty()).ok_or_else(|| match is_main {
        true => wrong.to_owned(),
        false => format!("`{key}`: {wrong}"),
    })
}
