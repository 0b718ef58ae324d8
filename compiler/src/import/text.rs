//! What a configuration says of a model's texts: the tokens that end them, and how long they were in training.

use super::{config::Config, error::bare};
use crate::{diag::Diagnostic, known::Known, model};
use std::path::Path;

/// Under which keys configurations say for how many tokens a model was trained.
const LENGTHS: [&str; 4] = [
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "seq_length",
];

/// The entries of the model file, as lines. `dir` holds the configuration and others beside it; `length` is the longest text by the family.
pub(super) fn entries(config: &Config, dir: &Path, length: Option<&Known>) -> Result<String, Diagnostic> {
    let mut out = String::new();
    let ends = ends(config, dir)?;
    if !ends.is_empty() {
        out.push_str(&format!("end: {ends:?}\n"));
    }
    let length = match length {
        Some(length) => length.size().filter(|n| *n > 0),
        None => trained_length(config),
    };
    if let Some(length) = length {
        out.push_str(&format!("trained_length: {length}\n"));
    }
    Ok(out)
}

/// Ids of `generation_config.json`, else those of `config.json`, as `transformers` takes them; or those of a GGUF file.
fn ends(config: &Config, dir: &Path) -> Result<Vec<u32>, Diagnostic> {
    if config.is_gguf() {
        let keys = ["eos", "eot", "eom"].map(|name| format!("tokenizer.ggml.{name}_token_id"));
        let mut all = Vec::new();
        for key in keys {
            all.extend(ids(config, &key)?);
        }
        all.dedup();
        return Ok(all);
    }
    let path = dir.join("generation_config.json");
    if path.exists() {
        let text = model::text_of(&path).map_err(|d| bare(d.message))?;
        let generation = Config::json(&path, &text)?;
        if generation.has("eos_token_id") {
            return ids(&generation, "eos_token_id");
        }
    }
    ids(config, "eos_token_id")
}

/// A key that holds an id, a list of ids or nothing. Negative numbers stand for no token.
fn ids(config: &Config, key: &str) -> Result<Vec<u32>, Diagnostic> {
    let wrong = |what: String| {
        bare(format!(
            "{}: `{key}` is the id of a token or a list of them, not {what}",
            config.shown()
        ))
    };
    let found = match config.get(key).map_err(|unreadable| wrong(unreadable.found))? {
        Some(Known::List(ids)) => ids,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let mut all = Vec::new();
    for id in found {
        match id {
            Known::Num(n) if n < 0.0 => {}
            Known::Num(n) if n.fract() == 0.0 && n < f64::from(u32::MAX) => all.push(n as u32),
            other => return Err(wrong(other.to_string())),
        }
    }
    Ok(all)
}

fn trained_length(config: &Config) -> Option<usize> {
    let architecture = config.text(config.kind_key()).filter(|_| config.is_gguf());
    let of_gguf = architecture.map(|name| format!("{name}.context_length"));
    let keys = LENGTHS.iter().map(|key| (*key).to_owned()).chain(of_gguf);
    let lengths = keys.filter_map(|key| match config.get(&key) {
        Ok(Some(Known::Num(n))) if n >= 1.0 && n.fract() == 0.0 && n < f64::from(u32::MAX) => Some(n as usize),
        _ => None,
    });
    lengths.into_iter().next()
}
