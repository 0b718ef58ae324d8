//! What can be said of a `tokenizer.json` without making a tokenizer of it: programs would say it when they read a text.

use super::error::bare;
use crate::diag::Diagnostic;
use seqc_checkpoint::read_at_most;
use serde_json::{Map, Value};
use std::{collections::HashMap, path::Path};

/// Longer files are refused by programs, too.
const LARGEST: u64 = 1 << 27;

/// The types of `model` that programs know; one without a type is known by its keys.
const KINDS: &[&str] = &["BPE", "WordPiece", "WordLevel", "Unigram"];

/// Errors of a file that is no tokenizer, and warnings about its vocabulary.
pub(super) fn check(path: &Path) -> Result<Vec<Diagnostic>, Diagnostic> {
    let shown = path.display();
    let wrong = |why: String| {
        bare(format!("{shown}: {why}")).help(
            "fetch the file again, or write it again with transformers (`save_pretrained`); without it the model reads and writes \
             token ids only",
        )
    };
    let text = read_at_most(path, LARGEST).map_err(|e| wrong(e.to_string()))?;
    let root: Value = serde_json::from_slice(&text).map_err(|e| wrong(format!("this is not JSON: {e}")))?;
    let model = root.get("model").and_then(Value::as_object);
    let model = model.ok_or_else(|| wrong("there is no mapping `model`".to_owned()))?;
    match model.get("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if KINDS.contains(&kind.as_str()) => {}
        Some(other) => {
            return Err(wrong(format!(
                "`model.type` is {other}; {} are known",
                KINDS.join(", ")
            )));
        }
    }
    let Some(vocabulary) = model.get("vocab").and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    if let Some(why) = lost_merge(model, vocabulary) {
        return Err(wrong(why));
    }
    let twice = same_id(vocabulary).map(|(first, second, id)| {
        let message = format!("{shown}: the tokens `{first}` and `{second}` of `model.vocab` have the same id {id}");
        Diagnostic::warning("import", message).help("only one of them can be written: give each token an id of its own")
    });
    Ok(twice.into_iter().collect())
}

/// Two tokens with one id.
fn same_id(vocabulary: &Map<String, Value>) -> Option<(&str, &str, u64)> {
    let mut first: HashMap<u64, &str> = HashMap::new();
    vocabulary.iter().find_map(|(token, id)| {
        let id = id.as_u64()?;
        let other = first.insert(id, token)?;
        Some((other, token.as_str(), id))
    })
}

/// Why the first merge that cannot be done is none.
fn lost_merge(model: &Map<String, Value>, vocabulary: &Map<String, Value>) -> Option<String> {
    let merges = model.get("merges")?.as_array()?;
    merges.iter().enumerate().find_map(|(number, merge)| {
        let pair: Option<(&str, &str)> = match merge {
            Value::String(text) => text.split_once(' '),
            Value::Array(pair) => match &pair[..] {
                [left, right] => left.as_str().zip(right.as_str()),
                _ => None,
            },
            _ => None,
        };
        let Some((left, right)) = pair else {
            return Some(format!(
                "`model.merges[{number}]` is {merge}, which is no pair of tokens"
            ));
        };
        let unknown = [left, right].into_iter().find(|token| !vocabulary.contains_key(*token));
        unknown.map(|token| format!("`model.merges[{number}]`, {merge}: `{token}` is not in `model.vocab`"))
    })
}
