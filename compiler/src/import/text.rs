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

/// What a checkpoint says of texts.
pub(super) struct Texts {
    /// Ids that end a text, where there are any: they, and the file and the key that say so.
    pub(super) ends: Option<(Vec<u32>, String)>,
    /// Tokens of the longest texts in training.
    pub(super) trained_length: Option<usize>,
    /// Ids that are left out.
    pub(super) warnings: Vec<Diagnostic>,
}

/// What is known of the model before.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// The folder with the configuration and others beside it.
    pub(super) dir: &'a Path,
    /// The longest text by the family; 0: what the configuration says.
    pub(super) length: Option<&'a Known>,
    /// How many tokens the vocabulary has.
    pub(super) vocabulary: Option<usize>,
}

/// What the configuration says of texts, and others beside it.
pub(super) fn texts(config: &Config, given: Given<'_>) -> Result<Texts, Diagnostic> {
    let mut warnings = Vec::new();
    let mut ends: Option<(Vec<u32>, String)> = None;
    for (ids, of) in ends_of(config, given.dir)? {
        let (inside, outside): (Vec<u32>, Vec<u32>) = ids
            .into_iter()
            .partition(|id| given.vocabulary.is_none_or(|count| (*id as usize) < count));
        if let (false, Some(count)) = (outside.is_empty(), given.vocabulary) {
            let ids: Vec<String> = outside.iter().map(u32::to_string).collect();
            let there = match count {
                0 => "no ids".to_owned(),
                _ => format!("the ids from 0 to {}", count - 1),
            };
            let message = format!("{of} names {}, the vocabulary has {there}", ids.join(", "));
            let help = "such ids are left out: texts do not end there; correct them in that file, or write `end:` in the model";
            warnings.push(Diagnostic::warning("import", message).help(help));
        }
        match &mut ends {
            Some((all, _)) => all.extend(inside),
            None => ends = Some((inside, of)),
        }
    }
    if let Some((all, _)) = &mut ends {
        all.dedup();
    }
    Ok(Texts {
        ends: ends.filter(|(all, _)| !all.is_empty()),
        trained_length: match given.length.and_then(Known::size).filter(|n| *n > 0) {
            None => trained_length(config, &mut warnings),
            known => known,
        },
        warnings,
    })
}

/// Ids of `generation_config.json`, else those of `config.json`, as `transformers` takes them; or those of a GGUF file. With them the file
/// and the key.
fn ends_of(config: &Config, dir: &Path) -> Result<Vec<(Vec<u32>, String)>, Diagnostic> {
    let of = |config: &Config, key: &str| Ok((ids(config, key)?, format!("{}: `{key}`", config.shown())));
    if config.is_gguf() {
        let keys = ["eos", "eot", "eom"].map(|name| format!("tokenizer.ggml.{name}_token_id"));
        return keys.iter().map(|key| of(config, key)).collect();
    }
    let path = dir.join("generation_config.json");
    if path.exists() {
        let text = model::text_of(&path).map_err(|d| bare(d.message))?;
        let generation = Config::json(&path, &text)?;
        if generation.has("eos_token_id") {
            return Ok(vec![of(&generation, "eos_token_id")?]);
        }
    }
    Ok(vec![of(config, "eos_token_id")?])
}

/// A key that holds an id, a list of ids or nothing. Negative numbers stand for no token.
fn ids(config: &Config, key: &str) -> Result<Vec<u32>, Diagnostic> {
    let wrong = |what: String| {
        let file = config.shown();
        bare(format!(
            "{file}: `{key}` is the id of a token or a list of them, not {what}"
        ))
        .help("correct it there, or remove it: then nothing ends a text but its length")
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

/// The first of [`LENGTHS`] that says it; what is no number of tokens is warned of and left out.
fn trained_length(config: &Config, warnings: &mut Vec<Diagnostic>) -> Option<usize> {
    let architecture = config.text(config.kind_key()).filter(|_| config.is_gguf());
    let of_gguf = architecture.map(|name| format!("{name}.context_length"));
    let keys = LENGTHS.iter().map(|key| (*key).to_owned()).chain(of_gguf);
    for key in keys {
        let found = match config.get(&key) {
            Ok(Some(Known::Num(n))) if n >= 1.0 && n.fract() == 0.0 && n < f64::from(u32::MAX) => {
                return Some(n as usize);
            }
            Ok(None) => continue,
            Ok(Some(other)) => other.to_string(),
            Err(unreadable) => unreadable.found,
        };
        let message = format!("{}: `{key}` is no number of tokens but {found}", config.shown());
        let help = "it is left out: texts of any length are read without a warning; correct it there, or write `trained_length:` in the model";
        warnings.push(Diagnostic::warning("import", message).help(help));
    }
    None
}
