//! `/v1/embeddings`: a vector of length 1 for each text.

use std::{fmt::Write as _, sync::Arc};

use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    body::{self, Body},
    format::Usage,
    listener::channel,
    problem::Problem,
    site::Site,
    tokens,
};
use crate::{
    engine::{Client, Event, Goal, Request},
    fields::Fields,
};

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Float,
    Base64,
}

pub(super) async fn answer(
    site: &Arc<Site>,
    client: Client,
    object: Map<String, Value>,
) -> Result<Response<Body>, Problem> {
    let fields = Fields(object);
    fields.refuse(&["dimensions"])?;
    let encoding = match fields.get::<String>("encoding_format")?.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(Problem::field("encoding_format", "it must be float or base64")),
    };
    let inputs = site.aside(move |site| tokens::lists(&fields, "input", site)).await?;
    let count = inputs.len();
    let (listener, mut events) = channel();
    for (index, tokens) in inputs.into_iter().enumerate() {
        site.handle.submit(Request {
            tokens,
            goal: Goal::Embed(site.pooling),
            index,
            start: None,
            client,
            listener: Arc::clone(&listener),
        })?;
    }
    drop(listener);
    let (mut data, mut usage) = (vec![Value::Null; count], Usage::default());
    while let Some(event) = events.recv().await {
        match event {
            Event::Vector { index, values, totals } => {
                let vector = written(&values, encoding);
                data[index] = json!({"object": "embedding", "index": index, "embedding": vector});
                usage.prompt += totals.prompt;
            }
            Event::Failed { failure, .. } => return Err(failure.into()),
            Event::Token { .. } | Event::End { .. } => {}
        }
    }
    if data.iter().any(Value::is_null) {
        return Err(Problem::ended());
    }
    let usage = json!({"prompt_tokens": usage.prompt, "total_tokens": usage.prompt});
    let list = json!({"object": "list", "data": data, "model": site.model, "usage": usage});
    Ok(body::json(StatusCode::OK, &list))
}

fn written(values: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(values),
        Encoding::Base64 => {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            base64(&bytes).into()
        }
    }
}

/// Bytes in base 64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for digit in 0..4 {
            let character = match digit <= group.len() {
                true => char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]),
                false => '=',
            };
            // Writing to a string does not fail.
            let _ = text.write_char(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
