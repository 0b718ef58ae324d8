//! Answers as the objects of OpenAI's interface: whole, or in parts.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    problem::Problem,
    site::{Site, now},
};
use crate::{
    engine::Reason,
    entropy::any_seed,
    generation::{LogProb, LogProbs},
};

/// Less likely than anything: there is no infinity in JSON.
const LEAST: f32 = -9999.0;

/// Which interface is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `/v1/completions`.
    Text,
    /// `/v1/chat/completions`.
    Chat,
}

/// What the objects of one response have in common.
#[derive(Debug)]
pub(super) struct Format {
    site: Arc<Site>,
    kind: Kind,
    id: String,
    created: u64,
    /// Whether the ids of tokens are told.
    tokens: bool,
}

/// An answer that is whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) tokens: Vec<i64>,
    pub(super) told: Vec<Told>,
    pub(super) reason: Option<Reason>,
}

/// What the model thought of a token.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Characters of the answer before it.
    pub(super) offset: usize,
    pub(super) logprobs: LogProbs,
}

/// A part of an answer.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) index: usize,
    /// Whether it is the first one.
    pub(super) first: bool,
    pub(super) choice: Choice,
}

/// Tokens of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) prompt: usize,
    pub(super) generated: usize,
}

impl Usage {
    pub(super) fn as_json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.generated,
            "total_tokens": self.prompt + self.generated,
        })
    }
}

impl Format {
    /// For one response.
    pub(super) fn new(site: &Arc<Site>, kind: Kind, tokens: bool) -> Result<Format, Problem> {
        let start = match kind {
            Kind::Text => "cmpl",
            Kind::Chat => "chatcmpl",
        };
        Ok(Format {
            site: Arc::clone(site),
            kind,
            id: format!("{start}-{:016x}", any_seed()?),
            created: now(),
            tokens,
        })
    }

    fn object(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.site.model,
            "choices": choices,
        })
    }

    /// All answers.
    pub(super) fn whole(&self, choices: &[Choice], usage: Usage) -> Result<Value, Problem> {
        let choices = choices.iter().enumerate().map(|(index, choice)| {
            let (name, said) = match self.kind {
                Kind::Text => ("text", choice.text.clone().into()),
                Kind::Chat => ("message", json!({"role": "assistant", "content": choice.text})),
            };
            self.choice(index, name, said, choice)
        });
        let object = match self.kind {
            Kind::Text => "text_completion",
            Kind::Chat => "chat.completion",
        };
        let mut value = self.object(object, choices.collect::<Result<_, _>>()?);
        value["usage"] = usage.as_json();
        Ok(value)
    }

    /// A part of one answer; where usage is told at the end, every part before has none.
    pub(super) fn part(&self, part: &Part, usage: bool) -> Result<Value, Problem> {
        let (name, said) = match self.kind {
            Kind::Text => ("text", part.choice.text.clone().into()),
            Kind::Chat => ("delta", delta(part)),
        };
        let choice = self.choice(part.index, name, said, &part.choice)?;
        Ok(self.chunk(vec![choice], usage.then_some(Value::Null)))
    }

    /// The last part.
    pub(super) fn usage(&self, usage: Usage) -> Value {
        self.chunk(Vec::new(), Some(usage.as_json()))
    }

    fn chunk(&self, choices: Vec<Value>, usage: Option<Value>) -> Value {
        let object = match self.kind {
            Kind::Text => "text_completion",
            Kind::Chat => "chat.completion.chunk",
        };
        let mut value = self.object(object, choices);
        if let Some(usage) = usage {
            value["usage"] = usage;
        }
        value
    }

    fn choice(&self, index: usize, name: &str, said: Value, choice: &Choice) -> Result<Value, Problem> {
        let reason = choice.reason.map(|reason| match reason {
            Reason::Length | Reason::Context => "length",
            Reason::End | Reason::Stop => "stop",
        });
        let mut value = json!({
            "index": index,
            name: said,
            "logprobs": self.logprobs(&choice.told)?,
            "finish_reason": reason,
        });
        if self.tokens {
            value["tokens"] = json!(choice.tokens);
        }
        Ok(value)
    }

    fn logprobs(&self, told: &[Told]) -> Result<Value, Problem> {
        if told.is_empty() {
            return Ok(Value::Null);
        }
        match self.kind {
            Kind::Chat => {
                let content: Result<Vec<Value>, Problem> = told.iter().map(|told| self.chat_logprobs(told)).collect();
                Ok(json!({"content": content?}))
            }
            Kind::Text => self.text_logprobs(told),
        }
    }

    fn chat_logprobs(&self, told: &Told) -> Result<Value, Problem> {
        let best: Result<Vec<Value>, Problem> = told.logprobs.best.iter().map(|one| self.token(one)).collect();
        let mut value = self.token(&told.logprobs.chosen)?;
        value["top_logprobs"] = best?.into();
        Ok(value)
    }

    fn token(&self, one: &LogProb) -> Result<Value, Problem> {
        let bytes = self.bytes(one.token)?;
        Ok(json!({
            "token": String::from_utf8_lossy(&bytes),
            "logprob": one.logprob.max(LEAST),
            "bytes": bytes,
        }))
    }

    fn text_logprobs(&self, told: &[Told]) -> Result<Value, Problem> {
        let (mut tokens, mut top) = (Vec::new(), Vec::new());
        for Told { logprobs, .. } in told {
            tokens.push(self.text(logprobs.chosen.token)?);
            let mut best = Map::new();
            for one in &logprobs.best {
                best.insert(self.text(one.token)?, one.logprob.max(LEAST).into());
            }
            top.push(best);
        }
        let chosen: Vec<f32> = told
            .iter()
            .map(|told| told.logprobs.chosen.logprob.max(LEAST))
            .collect();
        let offsets: Vec<usize> = told.iter().map(|told| told.offset).collect();
        Ok(json!({
            "tokens": tokens,
            "token_logprobs": chosen,
            "top_logprobs": top,
            "text_offset": offsets,
        }))
    }

    /// The text of one token; bytes that are no text as escapes, so that tokens differ.
    fn text(&self, token: usize) -> Result<String, Problem> {
        let bytes = self.bytes(token)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| format!("bytes:{}", error.as_bytes().escape_ascii())))
    }

    /// What one token says; without a tokenizer, its id.
    fn bytes(&self, token: usize) -> Result<Vec<u8>, Problem> {
        let Some(tokenizer) = &self.site.tokenizer else {
            return Ok(token.to_string().into_bytes());
        };
        let mut said = tokenizer.token_bytes(&[token as i64])?;
        Ok(said.pop().map(|said| said.bytes).unwrap_or_default())
    }
}

/// What a part adds to a message.
fn delta(part: &Part) -> Value {
    let mut delta = json!({});
    if part.first {
        delta["role"] = "assistant".into();
    }
    if part.first || !part.choice.text.is_empty() {
        delta["content"] = part.choice.text.as_str().into();
    }
    delta
}
