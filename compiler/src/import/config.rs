//! A checkpoint's configuration: JSON with dotted paths, or the keys of a GGUF file.

use super::error::bare;
use crate::{
    diag::Diagnostic,
    known::Known,
    model::{Expected, Other},
};
use seqc_checkpoint::{Checkpoint, Value as Gguf};
use seqc_formats::Encoding;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Longest list that an expression may look at.
const MAX_LIST: usize = 65_536;

/// Where the configuration of a part has the type of the whole model.
pub(super) const WHOLE: &str = "whole_model_type";

/// Keys under which a configuration says that the weights are quantised, and how.
const QUANTISED: &[&str] = &[
    "quantization_config",
    "compression_config",
    "quantization",
    "text_config.quantization_config",
    "text_config.compression_config",
];

/// What the whole model decides for its parts, where it says so: transformers shares the embedding and the head by what stands outside.
const SHARED: &[&str] = &["tie_word_embeddings"];

/// A value that cannot be read.
#[derive(Debug, PartialEq)]
pub(super) struct Unreadable {
    /// The key that has it.
    pub(super) key: String,
    /// What it is.
    pub(super) found: String,
    /// What it should be, where that does not depend on who reads it.
    pub(super) expected: Option<&'static str>,
}

/// What a configuration says.
pub(super) struct Config {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Json(Value),
    Gguf(Checkpoint),
}

impl Config {
    /// A `config.json`. Bare `Infinity` and `NaN`, as Python writes them, are numbers.
    pub(super) fn json(path: &Path, text: &str) -> Result<Config, Diagnostic> {
        if let Some(known) = seqc_checkpoint::foreign(text.as_bytes()) {
            return Err(bare(format!("{}: {known}", path.display())));
        }
        let wrong = |why: String| {
            bare(format!("{}: {why}", path.display())).help("fetch the file again, or correct it at that place")
        };
        let value: Value =
            serde_json::from_str(&with_numbers(text)).map_err(|e| wrong(format!("this is not JSON: {e}")))?;
        if !value.is_object() {
            return Err(wrong(
                "this is JSON, but no object, which a configuration is".to_owned(),
            ));
        }
        Ok(Config {
            path: path.to_owned(),
            kind: Kind::Json(value),
        })
    }

    /// The metadata of a GGUF file.
    pub(super) fn gguf(path: &Path, checkpoint: Checkpoint) -> Config {
        Config {
            path: path.to_owned(),
            kind: Kind::Gguf(checkpoint),
        }
    }

    /// The file, for messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether it is the metadata of a GGUF file.
    pub(super) fn is_gguf(&self) -> bool {
        matches!(self.kind, Kind::Gguf(_))
    }

    /// The configuration of a part of the model, under a key: what it says of that, and of the whole beside.
    pub(super) fn of_part(&self, key: &str) -> Option<Config> {
        let Kind::Json(Value::Object(root)) = &self.kind else {
            return None;
        };
        let inner = root.get(key)?.as_object()?;
        let mut both = root.clone();
        // What is quantised is said once for all.
        both.retain(|name, value| name != "model_type" && (!value.is_object() || QUANTISED.contains(&name.as_str())));
        // A null of the part hides nothing that the whole says.
        let says = |name: &String, value: &Value| !value.is_null() || !both.contains_key(name);
        let said: Vec<_> = inner.iter().filter(|(name, value)| says(name, value)).collect();
        both.extend(said.into_iter().map(|(name, value)| (name.clone(), value.clone())));
        let shared = SHARED.iter().filter_map(|name| root.get_key_value(*name));
        both.extend(shared.map(|(name, value)| (name.clone(), value.clone())));
        // Some whole models change how their text half reads.
        both.extend(root.get("model_type").map(|value| (WHOLE.to_owned(), value.clone())));
        Some(Config {
            path: self.path.clone(),
            kind: Kind::Json(Value::Object(both)),
        })
    }

    /// The method by which weights are quantised.
    fn method(&self) -> Option<String> {
        self.text("quantization_config.quant_method")
    }

    /// Whether weights are floats of eight bits with factors.
    pub(super) fn says_eight_bits(&self) -> bool {
        self.method().as_deref() == Some("fp8")
    }

    /// How weights that are not there yet will be stored, where this says so.
    pub(super) fn expected(&self) -> Option<Expected> {
        let most = match self.method().as_deref() {
            Some("fp8") => Some(Encoding::F8_E4M3),
            Some("mxfp4") => Some(Encoding::Mxfp4),
            _ => None,
        };
        let plain = match self.text("dtype").or_else(|| self.text("torch_dtype")).as_deref() {
            Some("bfloat16") => Encoding::Bf16,
            Some("float16") => Encoding::F16,
            Some("float32") => Encoding::F32,
            _ => most.map(|_| Encoding::Bf16)?,
        };
        // Tables and heads are never quantised with the layers.
        let mut names: Vec<String> = ["embed_tokens", "lm_head"].map(str::to_owned).to_vec();
        if let Ok(Some(Known::List(listed))) = self.get("quantization_config.modules_to_not_convert") {
            names.extend(listed.iter().map(Known::to_string));
        }
        Some(Expected {
            most: most.unwrap_or(plain),
            other: most.map(|_| Other { encoding: plain, names }),
        })
    }

    /// The key that names the architecture.
    pub(super) fn kind_key(&self) -> &'static str {
        match self.kind {
            Kind::Json(_) => "model_type",
            Kind::Gguf(_) => "general.architecture",
        }
    }

    /// The text under a key.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.get(key) {
            Ok(Some(Known::Str(s))) => Some(s),
            _ => None,
        }
    }

    /// True where the key is there and null.
    pub(super) fn is_null(&self, key: &str) -> bool {
        match &self.kind {
            Kind::Json(root) => entry(root, key).is_some_and(Value::is_null),
            Kind::Gguf(_) => false,
        }
    }

    /// True where the key is there and not null.
    pub(super) fn has(&self, key: &str) -> bool {
        match &self.kind {
            Kind::Json(root) => walk(root, key).is_some(),
            Kind::Gguf(c) => c.gguf().is_some_and(|m| m.get(key).is_some()),
        }
    }

    /// How the weights are quantised, by what a `config.json` says; GGUF files say it tensor by tensor.
    pub(super) fn quantised(&self) -> Option<String> {
        let Kind::Json(root) = &self.kind else { return None };
        QUANTISED.iter().find_map(|key| {
            let says = walk(root, key).filter(|says| says.as_object().is_none_or(|map| !map.is_empty()))?;
            if is_read(says) {
                return None;
            }
            let method = ["quant_method", "format", "quant_algo"]
                .iter()
                .find_map(|k| says.get(k)?.as_str());
            let is_static = says.get("activation_scheme").and_then(Value::as_str) == Some("static");
            Some(match method {
                Some(method) if is_static => format!("`{key}`: {method} with `activation_scheme: static`"),
                Some(method) => format!("`{key}`: {method}"),
                None => format!("`{key}`"),
            })
        })
    }

    /// The value under a key; `None` where it is missing or null.
    pub(super) fn get(&self, key: &str) -> Result<Option<Known>, Unreadable> {
        let value = match &self.kind {
            Kind::Json(root) => match walk(root, key) {
                Some(found) => of_json(found),
                None => return no_mapping(root, key).map_or(Ok(None), Err),
            },
            Kind::Gguf(c) => match c.gguf().and_then(|m| m.get(key)) {
                Some(found) => of_gguf(&found),
                None => return Ok(None),
            },
        };
        let unreadable = |found| Unreadable {
            key: key.to_owned(),
            found,
            expected: None,
        };
        value.map(Some).map_err(unreadable)
    }
}

/// Whether weights are floats of four or eight bits with exponents or factors of their own, which are read; those that activations are rounded by
/// are not.
fn is_read(says: &Value) -> bool {
    let word = |key: &str| says.get(key).and_then(Value::as_str);
    match word("quant_method") {
        Some("fp8") => word("activation_scheme") != Some("static"),
        Some("mxfp4") => true,
        _ => false,
    }
}

fn entry<'v>(root: &'v Value, key: &str) -> Option<&'v Value> {
    let whole = root.get(key);
    whole.or_else(|| key.split('.').try_fold(root, |at, part| at.get(part)))
}

fn walk<'v>(root: &'v Value, key: &str) -> Option<&'v Value> {
    entry(root, key).filter(|found| !found.is_null())
}

/// The part of a key before a dot that is something else than a mapping.
fn no_mapping(root: &Value, key: &str) -> Option<Unreadable> {
    let dots = key.match_indices('.').map(|(at, _)| &key[..at]);
    let wrong = |part: &&str| walk(root, part).is_some_and(|value| !value.is_object());
    let part = dots.into_iter().find(wrong)?;
    let found = walk(root, part).map(of_json)?;
    Some(Unreadable {
        key: part.to_owned(),
        found: found.map_or_else(|found| found, |value| described(&value)),
        expected: Some("a mapping"),
    })
}

/// A value and its kind, for messages.
pub(super) fn described(value: &Known) -> String {
    match value {
        Known::Num(_) | Known::Bool(_) => format!("{value}, {}", value.kind()),
        Known::Str(text) => format!("\"{}\", {}", text.escape_debug(), value.kind()),
        Known::List(_) => value.kind().to_string(),
    }
}

/// A value; what cannot be one is described.
fn of_json(value: &Value) -> Result<Known, String> {
    let no_number = || "not a number that can be used".to_owned();
    Ok(match value {
        Value::Bool(b) => Known::Bool(*b),
        Value::Number(n) => Known::Num(n.as_f64().ok_or_else(no_number)?),
        Value::String(s) => Known::Str(s.clone()),
        Value::Array(items) => list(items.iter().map(of_json))?,
        Value::Object(map) => match map.get("__float__").and_then(Value::as_str) {
            Some("Infinity") => Known::Num(f64::INFINITY),
            Some("-Infinity") => Known::Num(f64::NEG_INFINITY),
            Some("NaN") => return Err("not a number".to_owned()),
            _ => return Err("a mapping".to_owned()),
        },
        Value::Null => return Err("null".to_owned()),
    })
}

/// The list of some values; one that cannot be read is described.
fn list(items: impl Iterator<Item = Result<Known, String>>) -> Result<Known, String> {
    let items: Result<Vec<_>, String> = items.collect();
    items
        .map(Known::List)
        .map_err(|found| format!("a list that holds {found}"))
}

fn of_gguf(value: &Gguf<'_>) -> Result<Known, String> {
    Ok(match value {
        Gguf::Bool(b) => Known::Bool(*b),
        Gguf::Str(s) => Known::Str((*s).to_owned()),
        Gguf::Array(items) => {
            if items.len() > MAX_LIST {
                return Err(format!("a list of more than {MAX_LIST} values"));
            }
            list(items.iter().map(|v| of_gguf(&v)))?
        }
        other => Known::Num(
            other
                .as_float()
                .ok_or_else(|| "not a number that can be used".to_owned())?,
        ),
    })
}

/// JSON with Python's bare `Infinity`, `-Infinity` and `NaN` made objects that JSON can hold.
fn with_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut inside = false;
    while let Some(c) = rest.chars().next() {
        if !inside {
            let word = ["-Infinity", "Infinity", "NaN"]
                .into_iter()
                .find(|w| rest.starts_with(w));
            if let Some(word) = word {
                out.push_str(&format!("{{\"__float__\": \"{word}\"}}"));
                rest = &rest[word.len()..];
                continue;
            }
        }
        if inside && c == '\\' {
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(n, _)| n);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        inside ^= c == '"';
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_of_python_are_numbers() {
        let path = Path::new("config.json");
        let text =
            r#"{"a": Infinity, "b": [0.0, -Infinity], "c": "Infinity \" NaN", "d": {"e": {"__float__": "Infinity"}}}"#;
        let config = Config::json(path, text).unwrap_or_else(|d| panic!("{}", d.message));
        assert_eq!(config.get("a"), Ok(Some(Known::Num(f64::INFINITY))));
        assert_eq!(config.get("d.e"), Ok(Some(Known::Num(f64::INFINITY))));
        assert_eq!(config.get("c"), Ok(Some(Known::Str("Infinity \" NaN".to_owned()))));
        assert_eq!(config.get("x.y"), Ok(None));
    }
}
