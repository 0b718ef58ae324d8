//! `/v1/chat/completions`: the next message of a conversation.

use std::sync::Arc;

use hyper::Response;
use serde_json::{Map, Value};

use super::{
    body::Body,
    choices::Asked,
    format::{Format, Kind},
    problem::Problem,
    site::Site,
    streaming::Streaming,
};
use crate::{chat, engine::Client, fields::Fields};

pub(super) async fn answer(
    site: &Arc<Site>,
    client: Client,
    object: Map<String, Value>,
) -> Result<Response<Body>, Problem> {
    let asked = site.aside(|site| prepare(site, &Fields(object))).await?;
    asked.answer(site, client).await
}

fn prepare(site: &Arc<Site>, fields: &Fields) -> Result<Asked, Problem> {
    fields.refuse(&["tools", "functions", "audio"])?;
    let tokenizer = site.tokenizer()?;
    if tokenizer.chat_template(false).is_none() {
        return Err(Problem::wrong("the model has no chat template: use /v1/completions"));
    }
    let messages = fields.messages()?;
    let max_tokens = fields.get("max_completion_tokens")?.or(fields.get("max_tokens")?);
    let mut generation = site.generation(fields, max_tokens)?;
    if fields.flag("logprobs")? {
        generation.logprobs = Some(fields.logprobs("top_logprobs")?.unwrap_or(0));
    }
    let rendered = chat::render(tokenizer, &messages, &fields.given()?)?;
    Ok(Asked {
        prompts: vec![tokenizer.encode_rendered(&rendered, true)?],
        generation,
        grammar: fields.grammar()?,
        format: Format::new(site, Kind::Chat, fields.flag("return_tokens")?)?,
        streaming: Streaming::of(fields)?,
    })
}
