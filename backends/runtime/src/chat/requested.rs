//! Messages as requests of OpenAI's interface have them.

use serde::Deserialize;
use serde_json::Value;

use super::Message;
use crate::fields::in_words;

/// A message as requests have it.
#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    #[serde(default)]
    content: Content,
}

/// Its text: as one, in parts, or missing.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Content {
    #[default]
    None,
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// The messages that a JSON value lists, at least one. Errors are messages.
pub(crate) fn requested(value: Value) -> Result<Vec<Message>, String> {
    let said: Vec<Said> = serde_json::from_value(value).map_err(|error| in_words(&error))?;
    if said.is_empty() {
        return Err("there is none".to_owned());
    }
    said.into_iter().map(message).collect()
}

/// A message as templates have it.
fn message(said: Said) -> Result<Message, String> {
    let content = match said.content {
        Content::None => String::new(),
        Content::Text(text) => text,
        Content::Parts(parts) => {
            let text = |part: Part| match (part.kind.as_str(), part.text) {
                ("text", Some(text)) => Ok(text),
                _ => Err("the model reads text alone".to_owned()),
            };
            parts.into_iter().map(text).collect::<Result<_, _>>()?
        }
    };
    // Templates know the older name.
    let role = if said.role == "developer" { "system" } else { &said.role };
    Ok(Message::new(role, content))
}
