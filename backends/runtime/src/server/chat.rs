//! `/v1/chat/completions`: the next message of a conversation.

use std::sync::Arc;

use hyper::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    body::Body,
    choices::Asked,
    fields::{Fields, Streaming},
    format::{Format, Kind},
    problem::Problem,
    site::Site,
};
use crate::chat::{self, Message};

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

pub(super) async fn answer(site: &Arc<Site>, object: Map<String, Value>) -> Result<Response<Body>, Problem> {
    let asked = site.aside(|site| prepare(site, &Fields(object))).await?;
    asked.answer(site).await
}

fn prepare(site: &Arc<Site>, fields: &Fields) -> Result<Asked, Problem> {
    fields.refuse(&["tools", "functions", "audio"])?;
    let tokenizer = site.tokenizer()?;
    if tokenizer.chat_template().is_none() {
        return Err(Problem::wrong("the model has no chat template: use /v1/completions"));
    }
    let messages: Vec<Said> = fields.required("messages")?;
    if messages.is_empty() {
        return Err(Problem::field("messages", "there is none"));
    }
    let messages: Vec<Message> = messages.into_iter().map(message).collect::<Result<_, _>>()?;
    let max_tokens = fields.get("max_completion_tokens")?.or(fields.get("max_tokens")?);
    let mut generation = fields.generation(site, max_tokens)?;
    if fields.flag("logprobs")? {
        generation.logprobs = Some(fields.logprobs("top_logprobs")?.unwrap_or(0));
    }
    let rendered = chat::render(tokenizer, &messages)?;
    Ok(Asked {
        prompts: vec![tokenizer.encode_rendered(&rendered, true)?],
        generation,
        format: Format::new(site, Kind::Chat, fields.flag("return_tokens")?)?,
        streaming: Streaming::of(fields)?,
    })
}

/// A message as templates have it.
fn message(said: Said) -> Result<Message, Problem> {
    let content = match said.content {
        Content::None => String::new(),
        Content::Text(text) => text,
        Content::Parts(parts) => {
            let text = |part: Part| match (part.kind.as_str(), part.text) {
                ("text", Some(text)) => Ok(text),
                _ => Err(Problem::field("messages", "the model reads text alone")),
            };
            parts.into_iter().map(text).collect::<Result<_, _>>()?
        }
    };
    // Templates know the older name.
    let role = if said.role == "developer" { "system" } else { &said.role };
    Ok(Message::new(role, content))
}
