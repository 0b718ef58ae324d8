//! `/v1/completions`: texts or tokens are continued.

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
    tokens,
};
use crate::{engine::Client, fields::Fields};

/// Tokens of an answer where the request says nothing.
const MAX_TOKENS: usize = 16;

pub(super) async fn answer(
    site: &Arc<Site>,
    client: Client,
    object: Map<String, Value>,
) -> Result<Response<Body>, Problem> {
    let asked = site.aside(|site| prepare(site, &Fields(object))).await?;
    asked.answer(site, client).await
}

fn prepare(site: &Arc<Site>, fields: &Fields) -> Result<Asked, Problem> {
    fields.refuse(&["suffix", "echo"])?;
    fields.at_most("best_of", 1)?;
    let max_tokens = fields.get("max_tokens")?.unwrap_or(MAX_TOKENS);
    let mut generation = site.generation(fields, Some(max_tokens))?;
    generation.logprobs = fields.logprobs("logprobs")?;
    Ok(Asked {
        prompts: tokens::lists(fields, "prompt", site)?,
        generation,
        grammar: fields.grammar()?,
        format: Format::new(site, Kind::Text, fields.flag("return_tokens")?)?,
        streaming: Streaming::of(fields)?,
    })
}
