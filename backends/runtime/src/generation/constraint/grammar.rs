//! What an answer must be: a JSON schema, or a grammar in the syntax of Lark.

use std::path::{Path, PathBuf};

use llguidance::{JsonCompileOptions, api::TopLevelGrammar};
use serde_json::{Value, json};

use super::multiples;
use crate::{Error, Result};

/// What may stand between the parts of a JSON text, unless the schema says it: models that like white space come to an end.
const JSON_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";

/// What an answer must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Grammar {
    /// Where it was read, for messages.
    name: PathBuf,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Json(Value),
    Lark(String),
}

impl Grammar {
    /// Any JSON object.
    pub fn json_object() -> Grammar {
        Grammar {
            name: "a JSON object".into(),
            kind: Kind::Json(json!({"type": "object"})),
        }
    }

    /// JSON that a schema admits, which was read from `name`.
    ///
    /// # Errors
    ///
    /// A text that is not JSON.
    pub fn json_schema(name: &Path, text: &str) -> Result<Grammar> {
        let schema = serde_json::from_str(text)
            .map_err(|error| Error::input(format!("{}: not JSON: {error}", name.display())))?;
        Ok(Grammar {
            name: name.to_owned(),
            kind: Kind::Json(schema),
        })
    }

    /// A grammar in the syntax of Lark, as `llguidance` reads it, from `name`.
    pub fn lark(name: &Path, text: String) -> Grammar {
        Grammar {
            name: name.to_owned(),
            kind: Kind::Lark(text),
        }
    }

    /// Where it was read, for messages.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// Bytes of its text.
    pub(super) fn length(&self) -> usize {
        match &self.kind {
            Kind::Json(schema) => schema.to_string().len(),
            Kind::Lark(text) => text.len(),
        }
    }

    /// Whether it asks for more work than the limits of its reader know of.
    pub(super) fn is_too_much(&self) -> bool {
        match &self.kind {
            Kind::Json(schema) => multiples::too_many([schema]),
            Kind::Lark(text) => multiples::too_many(&multiples::schemas_of(text)),
        }
    }

    /// For the parser.
    pub(super) fn top_level(&self) -> TopLevelGrammar {
        match &self.kind {
            Kind::Lark(text) => TopLevelGrammar::from_lark(text.clone()),
            Kind::Json(schema) => {
                let mut schema = schema.clone();
                if schema.is_object() && schema.get("x-guidance").is_none() {
                    let spaced = JsonCompileOptions {
                        whitespace_pattern: Some(JSON_SPACE.to_owned()),
                        ..JsonCompileOptions::default()
                    };
                    spaced.apply_to(&mut schema);
                }
                TopLevelGrammar::from_json_schema(schema)
            }
        }
    }
}

/// What is wrong with a grammar.
pub(super) fn told(name: &Path, error: &impl std::fmt::Display) -> Error {
    Error::input(format!("{}: {}", name.display(), error.to_string().trim_end()))
}
