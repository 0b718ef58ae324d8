//! Prompts as tokens, `/tokenize` and `/detokenize`.

use std::sync::Arc;

use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    body::{self, Body},
    problem::Problem,
    site::Site,
};
use crate::{fields::Fields, inputs::check_tokens};

/// Prompts of one request.
const MOST_PROMPTS: usize = 256;

/// The tokens of a field that holds a text, a list of texts, a list of tokens, or several of these.
pub(super) fn lists(fields: &Fields, name: &str, site: &Site) -> Result<Vec<Vec<i64>>, Problem> {
    let value: Value = fields.required(name)?;
    let prompts = match value {
        Value::Array(values) if values.first().is_some_and(|first| !first.is_number()) => values,
        one => vec![one],
    };
    if prompts.len() > MOST_PROMPTS {
        return Err(Problem::field(
            name,
            format_args!("there are at most {MOST_PROMPTS} in a request"),
        ));
    }
    let tokens = |prompt: Value| match prompt {
        Value::String(text) => Ok(site.tokenizer()?.encode(&text, true)?),
        ids => serde_json::from_value(ids)
            .map_err(|_| Problem::field(name, "it must be a text, a list of token ids, or a list of these")),
    };
    prompts.into_iter().map(tokens).collect()
}

pub(super) async fn tokenize(site: &Arc<Site>, object: Map<String, Value>) -> Result<Response<Body>, Problem> {
    let fields = Fields(object);
    let tokens = site.aside(move |site| {
        let content: String = fields.required("content")?;
        Ok(site.tokenizer()?.encode(&content, fields.flag("add_special")?)?)
    });
    Ok(body::json(StatusCode::OK, &json!({"tokens": tokens.await?})))
}

pub(super) async fn detokenize(site: &Arc<Site>, object: Map<String, Value>) -> Result<Response<Body>, Problem> {
    let fields = Fields(object);
    let content = site.aside(move |site| {
        let tokens: Vec<i64> = fields.required("tokens")?;
        let tokenizer = site.tokenizer()?;
        check_tokens(site.handle.descriptor(), &tokens)?;
        Ok(tokenizer.decode(&tokens)?)
    });
    Ok(body::json(StatusCode::OK, &json!({"content": content.await?})))
}
