//! What is wrong with a `tokenizer.json` that cannot be read, and where in it.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
};

/// What helps against every fault of such a file.
const REMEDY: &str = "fetch the file again, or write it again with the tokenizers library";

/// The parts that some others are lists of, by the key of the list.
const LISTS: &[&str] = &["normalizers", "pretokenizers", "processors", "decoders"];

/// Parts inside parts beyond this are not looked at.
const DEEPEST: usize = 8;

/// Why a text is no tokenizer, as `error` says, with the place in the file.
pub(super) fn explained(text: &[u8], error: &tokenizers::Error) -> String {
    let found = match serde_json::from_slice(text) {
        Err(error) => format!("this is not JSON: {error}"),
        Ok(root) => wrong_part(&root).unwrap_or_else(|| error.to_string()),
    };
    format!("not a tokenizer: {found}; {REMEDY}")
}

fn wrong_part(root: &Value) -> Option<String> {
    let Some(parts) = root.as_object() else {
        return Some("a JSON object is expected".to_owned());
    };
    if !parts.get("model").is_some_and(Value::is_object) {
        return Some("there is no mapping `model`".to_owned());
    }
    wrong::<ModelWrapper>(parts.get("model"), "model", 0)
        .or_else(|| wrong::<NormalizerWrapper>(parts.get("normalizer"), "normalizer", 0))
        .or_else(|| wrong::<PreTokenizerWrapper>(parts.get("pre_tokenizer"), "pre_tokenizer", 0))
        .or_else(|| wrong::<PostProcessorWrapper>(parts.get("post_processor"), "post_processor", 0))
        .or_else(|| wrong::<DecoderWrapper>(parts.get("decoder"), "decoder", 0))
        .or_else(|| wrong_token(parts.get("added_tokens")?))
}

/// What is wrong with a part at a place of the file, or with the first part of it that is wrong.
fn wrong<Part: DeserializeOwned>(part: Option<&Value>, place: &str, depth: usize) -> Option<String> {
    let part = part.filter(|part| !part.is_null())?;
    let error = serde_json::from_value::<Part>(part.clone()).err()?;
    let inner = LISTS.iter().find_map(|list| {
        let mut items = part
            .get(list)?
            .as_array()
            .filter(|_| depth < DEEPEST)?
            .iter()
            .enumerate();
        items.find_map(|(number, item)| wrong::<Part>(Some(item), &format!("{place}.{list}[{number}]"), depth + 1))
    });
    Some(inner.unwrap_or_else(|| {
        let error = error.to_string();
        match part.get("type").and_then(Value::as_str) {
            // What the library says names types of its source, where no type of it fits.
            Some(kind) if error.contains("untagged enum") => {
                format!("`{place}` is of the type `{kind}`, which is not known or lacks a key")
            }
            None if error.contains("untagged enum") => format!("`{place}` is of no known type"),
            Some(kind) => format!("`{place}`, of the type `{kind}`: {error}"),
            None => format!("`{place}`: {error}"),
        }
    }))
}

/// The first of the added tokens that is none.
fn wrong_token(tokens: &Value) -> Option<String> {
    let Some(tokens) = tokens.as_array() else {
        return Some("`added_tokens` is no list".to_owned());
    };
    tokens.iter().enumerate().find_map(|(number, token)| {
        let at = format!("`added_tokens[{number}]`");
        if token
            .get("id")
            .and_then(Value::as_u64)
            .is_none_or(|id| id > u64::from(u32::MAX))
        {
            return Some(format!("{at} has no `id` that is a token's number"));
        }
        let error = serde_json::from_value::<AddedToken>(token.clone()).err()?;
        Some(format!("{at}: {error}"))
    })
}
