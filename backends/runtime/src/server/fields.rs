//! Fields of requests: how an answer is to come, with the defaults of OpenAI's interface.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{problem::Problem, site::Site};
use crate::{
    engine::Generation,
    entropy::any_seed,
    generation::{Grammar, SamplingOptions, TokenBias},
};

/// Answers to one prompt.
const MOST_SAMPLES: usize = 128;
/// Stop texts of a request.
const MOST_STOPS: usize = 16;
/// Most likely tokens that are told.
const MOST_LOGPROBS: usize = 20;

/// The fields of a request.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    /// The value of a field; `None` where it is missing or null.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(value) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(Problem::field(name, error)),
            },
        }
    }

    /// The value of a field that must be there.
    pub(super) fn required<T: DeserializeOwned>(&self, name: &str) -> Result<T, Problem> {
        self.get(name)?.ok_or_else(|| Problem::field(name, "it is missing"))
    }

    /// A field that is true or, where it is missing, false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.get(name)?.unwrap_or(false))
    }

    /// Refuses fields whose effect is not there, unless their values ask for none.
    pub(super) fn refuse(&self, names: &[&str]) -> Result<(), Problem> {
        let asks = |value: &Value| match value {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Array(values) => !values.is_empty(),
            Value::String(value) => value != "none",
            Value::Number(_) | Value::Object(_) => true,
        };
        let asked = names.iter().find(|name| self.0.get(**name).is_some_and(asks));
        asked.map_or(Ok(()), |name| Err(Problem::field(name, "this server does not do that")))
    }

    /// A number of at most `most`.
    pub(super) fn at_most(&self, name: &str, most: usize) -> Result<Option<usize>, Problem> {
        let number = self.get::<usize>(name)?;
        match number {
            Some(number) if number > most => Err(Problem::field(name, format_args!("it must be at most {most}"))),
            number => Ok(number),
        }
    }

    /// How the answers come; log probabilities are left to the caller, whose interfaces name them differently.
    pub(super) fn generation(&self, site: &Site, max_tokens: Option<usize>) -> Result<Generation, Problem> {
        let samples = self.at_most("n", MOST_SAMPLES)?.unwrap_or(1);
        if samples == 0 {
            return Err(Problem::field("n", "it must be at least 1"));
        }
        let ignores_ends = self.flag("ignore_eos")?;
        let constraint = self.grammar()?.map(|grammar| site.constraint(&grammar)).transpose()?;
        Ok(Generation {
            sampling: self.sampling()?,
            ends: if ignores_ends { Vec::new() } else { site.ends.clone() },
            stops: self.stops()?,
            constraint,
            logprobs: None,
            max_tokens: max_tokens.unwrap_or(usize::MAX).min(site.max_tokens),
            samples,
        })
    }

    fn sampling(&self) -> Result<SamplingOptions, Problem> {
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

    fn biases(&self) -> Result<Vec<TokenBias>, Problem> {
        let given: Map<String, Value> = self.get("logit_bias")?.unwrap_or_default();
        let bias = |(token, bias): (&String, &Value)| {
            let wrong = || Problem::field("logit_bias", "it must map token ids to numbers from -100 to 100");
            let bias = bias.as_f64().filter(|bias| bias.abs() <= 100.0).ok_or_else(wrong)?;
            Ok(TokenBias {
                token: token.parse().map_err(|_| wrong())?,
                bias: bias as f32,
            })
        };
        given.iter().map(bias).collect()
    }

    /// Stop texts: one or several.
    fn stops(&self) -> Result<Vec<String>, Problem> {
        let stops = match self.get("stop")? {
            None => Vec::new(),
            Some(Value::String(stop)) => vec![stop],
            Some(_) => self.required("stop")?,
        };
        if stops.len() > MOST_STOPS {
            return Err(Problem::field(
                "stop",
                format_args!("there are at most {MOST_STOPS} texts"),
            ));
        }
        Ok(stops)
    }

    /// The form that answers must have.
    fn grammar(&self) -> Result<Option<Grammar>, Problem> {
        let Some(format) = self.get::<Map<String, Value>>("response_format")? else {
            return Ok(None);
        };
        let schema = || format.get("json_schema").and_then(|inner| inner.get("schema"));
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(None),
            Some("json_object") => Ok(Some(Grammar::json_object())),
            Some("json_schema") => match schema() {
                Some(schema) => Ok(Some(Grammar::json_schema(
                    Path::new("response_format"),
                    &schema.to_string(),
                )?)),
                None => Err(Problem::field("response_format", "`json_schema.schema` is missing")),
            },
            _ => Err(Problem::field(
                "response_format",
                "its type must be text, json_object or json_schema",
            )),
        }
    }

    /// How many most likely tokens are told, by the field of that name.
    pub(super) fn logprobs(&self, name: &str) -> Result<Option<usize>, Problem> {
        self.at_most(name, MOST_LOGPROBS)
    }
}

/// Whether answers come in parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streaming {
    pub(super) on: bool,
    /// Whether usage follows the last part.
    pub(super) usage: bool,
}

impl Streaming {
    /// As the request says.
    pub(super) fn of(fields: &Fields) -> Result<Streaming, Problem> {
        let options: Map<String, Value> = fields.get("stream_options")?.unwrap_or_default();
        let usage = options.get("include_usage").and_then(Value::as_bool);
        Ok(Streaming {
            on: fields.flag("stream")?,
            usage: usage.unwrap_or(false),
        })
    }
}
