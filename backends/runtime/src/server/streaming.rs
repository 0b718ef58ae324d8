//! Whether answers come in parts, as a request says.

use serde_json::{Map, Value};

use crate::fields::{Fields, Wrong};

/// Whether answers come in parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streaming {
    pub(super) on: bool,
    /// Whether usage follows the last part.
    pub(super) usage: bool,
}

impl Streaming {
    /// As the request says.
    pub(super) fn of(fields: &Fields) -> Result<Streaming, Wrong> {
        let options: Map<String, Value> = fields.get("stream_options")?.unwrap_or_default();
        let usage = options.get("include_usage").and_then(Value::as_bool);
        Ok(Streaming {
            on: fields.flag("stream")?,
            usage: usage.unwrap_or(false),
        })
    }
}
