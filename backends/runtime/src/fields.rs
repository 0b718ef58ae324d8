//! Fields of requests as OpenAI's interface has them: how an answer is to come, with the defaults of that interface. The server
//! and the library read them.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    Error,
    chat::{self, Given, Message},
    engine::Generation,
    entropy::any_seed,
    generation::{Grammar, SamplingOptions, TokenBias},
};

/// Answers to one prompt.
pub(crate) const MOST_SAMPLES: usize = 128;
/// Stop texts of a request.
const MOST_STOPS: usize = 16;
/// Most likely tokens that are told.
const MOST_LOGPROBS: usize = 20;

/// Why a request cannot be answered as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// A field of it.
    #[error("`{name}`: {message}")]
    Field {
        /// Which one.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// What it asks for cannot be had.
    #[error(transparent)]
    Other(#[from] Error),
}

impl Wrong {
    /// What is wrong with a field.
    pub(crate) fn field(name: &str, message: impl std::fmt::Display) -> Wrong {
        Wrong::Field {
            name: name.to_owned(),
            message: message.to_string(),
        }
    }
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Error {
        match wrong {
            Wrong::Field { .. } => Error::input(wrong.to_string()),
            Wrong::Other(error) => error,
        }
    }
}

/// What is wrong with a value, in the terms of JSON and not in those of the types that it was to have here.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let Some((found, expected)) = said.rsplit_once("expected ") else {
        return said;
    };
    let expected = match expected {
        "usize" | "u64" | "u32" => "a whole number from 0",
        "i64" | "i32" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    let found = found.replace("map", "an object").replace("sequence", "a list");
    format!("{found}expected {expected}")
        .replace("floating point `", "`")
        .replace("integer `", "`")
}

/// The fields of a request.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Map<String, Value>);

impl Fields {
    /// The value of a field; `None` where it is missing or null.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Wrong> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(value) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(Wrong::field(name, in_words(&error))),
            },
        }
    }

    /// The value of a field that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T, Wrong> {
        self.get(name)?.ok_or_else(|| Wrong::field(name, "it is missing"))
    }

    /// A field that is true or, where it is missing, false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Wrong> {
        Ok(self.get(name)?.unwrap_or(false))
    }

    /// Refuses fields whose effect is not there, unless their values ask for none.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), Wrong> {
        let asks = |value: &Value| match value {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Array(values) => !values.is_empty(),
            Value::String(value) => value != "none",
            Value::Number(_) | Value::Object(_) => true,
        };
        let asked = names.iter().find(|name| self.0.get(**name).is_some_and(asks));
        asked.map_or(Ok(()), |name| Err(Wrong::field(name, "this is not supported")))
    }

    /// A number of at most `most`.
    pub(crate) fn at_most(&self, name: &str, most: usize) -> Result<Option<usize>, Wrong> {
        let number = self.get::<usize>(name)?;
        match number {
            Some(number) if number > most => Err(Wrong::field(name, format_args!("it must be at most {most}"))),
            number => Ok(number),
        }
    }

    /// How the answers come. Left to the caller are grammars, for which a vocabulary is needed, and log probabilities, which
    /// interfaces name differently.
    pub(crate) fn generation(&self, ends: &[i64], max_tokens: usize) -> Result<Generation, Wrong> {
        let samples = self.at_most("n", MOST_SAMPLES)?.unwrap_or(1);
        if samples == 0 {
            return Err(Wrong::field("n", "it must be at least 1"));
        }
        let ignores_ends = self.flag("ignore_eos")?;
        Ok(Generation {
            sampling: self.sampling()?,
            ends: if ignores_ends { Vec::new() } else { ends.to_vec() },
            stops: self.stops()?,
            constraint: None,
            logprobs: None,
            max_tokens,
            samples,
        })
    }

    /// The messages of a conversation.
    pub(crate) fn messages(&self) -> Result<Vec<Message>, Wrong> {
        let messages = chat::requested(self.required("messages")?);
        messages.map_err(|message| Wrong::field("messages", message))
    }

    /// What the chat template is given beside the messages: `documents`, and variables by name under `chat_template_kwargs`.
    pub(crate) fn given(&self) -> Result<Given, Wrong> {
        let variables: Map<String, Value> = self.get("chat_template_kwargs")?.unwrap_or_default();
        if let Some(name) = variables.keys().find(|name| chat::TAKEN.contains(&name.as_str())) {
            return Err(Wrong::field(
                "chat_template_kwargs",
                format!("`{name}` is given otherwise"),
            ));
        }
        Ok(Given {
            tools: None,
            documents: self.get("documents")?,
            variables: variables.into_iter().collect(),
        })
    }

    fn sampling(&self) -> Result<SamplingOptions, Wrong> {
        let plain = SamplingOptions::default();
        let seed = match self.get::<i64>("seed")? {
            Some(seed) => seed as u64,
            None => any_seed()?,
        };
        Ok(SamplingOptions {
            temperature: self.get("temperature")?.unwrap_or(1.0),
            top_k: self.get("top_k")?.unwrap_or(plain.top_k),
            top_p: self.get("top_p")?.unwrap_or(plain.top_p),
            min_p: self.get("min_p")?.unwrap_or(plain.min_p),
            typical_p: self.get("typical_p")?.unwrap_or(plain.typical_p),
            repetition_penalty: self.get("repetition_penalty")?.unwrap_or(plain.repetition_penalty),
            presence_penalty: self.get("presence_penalty")?.unwrap_or(plain.presence_penalty),
            frequency_penalty: self.get("frequency_penalty")?.unwrap_or(plain.frequency_penalty),
            logit_bias: self.biases()?,
            seed,
        })
    }

    fn biases(&self) -> Result<Vec<TokenBias>, Wrong> {
        let given: Map<String, Value> = self.get("logit_bias")?.unwrap_or_default();
        let bias = |(token, bias): (&String, &Value)| {
            let wrong = || Wrong::field("logit_bias", "it must map token ids to numbers from -100 to 100");
            let bias = bias.as_f64().filter(|bias| bias.abs() <= 100.0).ok_or_else(wrong)?;
            Ok(TokenBias {
                token: token.parse().map_err(|_| wrong())?,
                bias: bias as f32,
            })
        };
        given.iter().map(bias).collect()
    }

    /// Stop texts: one or several.
    fn stops(&self) -> Result<Vec<String>, Wrong> {
        let stops = match self.get("stop")? {
            None => Vec::new(),
            Some(Value::String(stop)) => vec![stop],
            Some(_) => self.required("stop")?,
        };
        if stops.len() > MOST_STOPS {
            return Err(Wrong::field(
                "stop",
                format_args!("there are at most {MOST_STOPS} texts"),
            ));
        }
        Ok(stops)
    }

    /// The form that answers must have: by `response_format`, or a grammar in the syntax of Lark.
    pub(crate) fn grammar(&self) -> Result<Option<Grammar>, Wrong> {
        let grammar: Option<String> = self.get("grammar")?;
        let grammar = grammar.filter(|text| !text.is_empty());
        let Some(format) = self.get::<Map<String, Value>>("response_format")? else {
            return Ok(grammar.map(|text| Grammar::lark(Path::new("grammar"), text)));
        };
        if grammar.is_some() {
            return Err(Wrong::field("grammar", "there is `response_format` as well"));
        }
        let schema = || format.get("json_schema").and_then(|inner| inner.get("schema"));
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(None),
            Some("json_object") => Ok(Some(Grammar::json_object())),
            Some("json_schema") => match schema() {
                Some(schema) => Ok(Some(Grammar::json_schema(
                    Path::new("response_format"),
                    &schema.to_string(),
                )?)),
                None => Err(Wrong::field("response_format", "`json_schema.schema` is missing")),
            },
            _ => Err(Wrong::field(
                "response_format",
                "its type must be text, json_object or json_schema",
            )),
        }
    }

    /// How many most likely tokens are told, by the field of that name.
    pub(crate) fn logprobs(&self, name: &str) -> Result<Option<usize>, Wrong> {
        self.at_most(name, MOST_LOGPROBS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_values_are_told_in_the_terms_of_json() {
        let value = json!({"a": "x", "b": -1, "c": 1.5, "d": {}, "e": [1, "x"], "f": 1e30});
        let fields = Fields(value.as_object().expect("an object").clone());
        let mut said = Vec::new();
        said.extend(fields.get::<usize>("a").map(drop).err());
        said.extend(fields.get::<usize>("b").map(drop).err());
        said.extend(fields.get::<i64>("c").map(drop).err());
        said.extend(fields.get::<bool>("d").map(drop).err());
        said.extend(fields.get::<Vec<i64>>("e").map(drop).err());
        said.extend(fields.get::<Map<String, Value>>("f").map(drop).err());
        said.extend(fields.get::<f32>("a").map(drop).err());
        let said: Vec<String> = said.iter().map(Wrong::to_string).collect();
        let expected = [
            "`a`: invalid type: string \"x\", expected a whole number from 0",
            "`b`: invalid value: `-1`, expected a whole number from 0",
            "`c`: invalid type: `1.5`, expected a whole number",
            "`d`: invalid type: an object, expected true or false",
            "`e`: invalid type: string \"x\", expected a whole number",
            "`f`: invalid type: `1e+30`, expected an object",
            "`a`: invalid type: string \"x\", expected a number",
        ];
        assert_eq!(said, expected);
    }
}
