//! Requests: what is to be continued, and how. They are JSON objects with the fields of a request to the server.

use std::fmt::Write;

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it: `system`, `user`, `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of that role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message {
            role: role.into(),
            content: content.into(),
        }
    }

    /// A message of the user's.
    pub fn user(content: impl Into<String>) -> Message {
        Message::new("user", content)
    }
}

/// What is to be continued, and how: the fields of a request to the server, with its defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request(Vec<Field>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    /// JSON.
    value: String,
}

impl Request {
    /// What the session has read is continued.
    pub fn new() -> Request {
        Request::default()
    }

    /// A conversation is continued, by the model's chat template.
    pub fn chat(messages: &[Message]) -> Request {
        Request::new().json("messages", messages_json(messages))
    }

    /// A text is continued.
    pub fn prompt(text: &str) -> Request {
        Request::new().json("prompt", string(text))
    }

    /// Tokens are continued.
    pub fn tokens(tokens: &[i64]) -> Request {
        Request::new().json("prompt", format!("{tokens:?}"))
    }

    /// The most tokens of the answer.
    #[must_use]
    pub fn max_tokens(self, tokens: usize) -> Request {
        self.json("max_tokens", tokens.to_string())
    }

    /// Logits are divided by it; 0: always the most likely token. The default is 1.
    #[must_use]
    pub fn temperature(self, temperature: f32) -> Request {
        self.json("temperature", temperature.to_string())
    }

    /// The same seed draws the same tokens.
    #[must_use]
    pub fn seed(self, seed: i64) -> Request {
        self.json("seed", seed.to_string())
    }

    /// Texts that end the answer.
    #[must_use]
    pub fn stop(self, texts: &[&str]) -> Request {
        let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
        self.json("stop", format!("[{}]", texts.join(",")))
    }

    /// Log probabilities of every token, and of so many most likely ones.
    #[must_use]
    pub fn logprobs(self, best: usize) -> Request {
        self.json("logprobs", best.to_string())
    }

    /// So many tokens at most are drafted by prompt lookup and read in one step; the answer is the same.
    #[must_use]
    pub fn speculate(self, tokens: usize) -> Request {
        self.json("speculate", tokens.to_string())
    }

    /// So many tokens at most are drafted by the program that the model was given ([`Model::set_draft`](crate::Model::set_draft)) and read in one
    /// step; the answer is the same.
    #[must_use]
    pub fn draft(self, tokens: usize) -> Request {
        self.json("draft", tokens.to_string())
    }

    /// The answer is JSON that this schema, a JSON text, admits.
    #[must_use]
    pub fn json_schema(self, schema: &str) -> Request {
        let format = format!(r#"{{"type":"json_schema","json_schema":{{"schema":{schema}}}}}"#);
        self.json("response_format", format)
    }

    /// Any field of a request, as JSON.
    #[must_use]
    pub fn json(mut self, name: &str, value: impl Into<String>) -> Request {
        self.0.retain(|field| field.name != name);
        self.0.push(Field {
            name: name.to_owned(),
            value: value.into(),
        });
        self
    }

    pub(crate) fn to_json(&self) -> String {
        let fields: Vec<String> = self
            .0
            .iter()
            .map(|field| format!("{}:{}", string(&field.name), field.value))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

pub(crate) fn messages_json(messages: &[Message]) -> String {
    let message = |message: &Message| {
        let (role, content) = (string(&message.role), string(&message.content));
        format!(r#"{{"role":{role},"content":{content}}}"#)
    };
    let messages: Vec<String> = messages.iter().map(message).collect();
    format!("[{}]", messages.join(","))
}

/// A string of JSON.
fn string(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            // Writing to a string does not fail.
            control if control < ' ' => {
                write!(json, "\\u{:04x}", control as u32).unwrap_or_default()
            }
            other => json.push(other),
        }
    }
    json + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_json() {
        let request = Request::chat(&[Message::user("a \"b\"\n")])
            .max_tokens(3)
            .max_tokens(4);
        let expected = r#"{"messages":[{"role":"user","content":"a \"b\"\u000a"}],"max_tokens":4}"#;
        assert_eq!(request.to_json(), expected);
        assert_eq!(Request::tokens(&[1, 2]).to_json(), r#"{"prompt":[1, 2]}"#);
    }
}
