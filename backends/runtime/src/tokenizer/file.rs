//! Tokenizers in a `tokenizer.json`, with the configuration in the same directory.

use std::path::PathBuf;

use seqc_checkpoint::Source as Place;
use serde_json::Value;
use tokenizers::AddedToken;

use super::{
    calls::{damaged, ids_of, memory_of_file, memory_of_text, memory_of_tokens, narrow},
    faults,
    specials::Specials,
    spelled::{self, TokenBytes},
    template::Template,
};
use crate::{Error, Result};

const NAME: &str = "tokenizer.json";
/// Beside it: settings, among them a chat template; and a chat template alone.
const CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";
/// The template for conversations with tools, which is `tool_use` among several in the settings.
const TOOL_TEMPLATE: &str = "additional_chat_templates/tool_use.jinja";
/// Files beyond this are refused.
const LARGEST: u64 = 1 << 27;

/// A `tokenizer.json` and what is said beside it.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    tokenizer: tokenizers::Tokenizer,
    specials: Specials,
    template: Option<Stated>,
    tool_template: Option<Stated>,
    /// Ids that the configuration says end a text.
    ends: Vec<i64>,
    warnings: Vec<String>,
}

/// A template and the file that states it.
#[derive(Debug)]
struct Stated {
    text: String,
    path: PathBuf,
}

impl File {
    pub(super) fn open(place: &Place) -> Result<File> {
        let place = if place.is_folder() {
            place.join(NAME)
        } else {
            place.clone()
        };
        let (path, text) = (place.shown(), place.read(LARGEST)?);
        let memory = memory_of_file(text.len());
        let made = crate::limits::reading(&path, memory, || {
            let made = tokenizers::Tokenizer::from_bytes(&text);
            made.map_err(|error| faults::explained(&text, &error))
        })?;
        let mut tokenizer = made.map_err(|message| damaged(&path, message))?;
        // Settings for training batches: prompts are neither cut nor filled up.
        tokenizer.with_padding(None);
        let uncut = tokenizer.with_truncation(None).map(drop);
        uncut.map_err(|error| damaged(&path, error))?;
        let config = beside(&place.beside(CONFIG))?;
        let map = beside(&place.beside("special_tokens_map.json"))?;
        add(&mut tokenizer, &config).map_err(|message| damaged(&path, message))?;
        let read = |name: &str| {
            let place = place.beside(name);
            let text = String::from_utf8(place.read(LARGEST).ok()?).ok()?;
            let path = place.shown();
            Some(Stated { text, path })
        };
        let of_config = |name: &str| {
            let text = template_of(&config, name)?;
            let path = place.beside(CONFIG).shown();
            Some(Stated { text, path })
        };
        let alone = read(TEMPLATE);
        // A template in a file of its own stands in place of all in the settings.
        let tool_template = read(TOOL_TEMPLATE).or_else(|| of_config("tool_use").filter(|_| alone.is_none()));
        let (ends, mut warnings) = ends_beside(&place)?;
        let is_unknown = |id: &&i64| **id >= 0 && narrow(**id).is_none_or(|id| tokenizer.id_to_token(id).is_none());
        warnings.extend(ends.iter().filter(is_unknown).map(|id| {
            let path = path.display();
            format!("{path}: there is no token {id}, which `eos_token_id` beside it says ends a text")
        }));
        Ok(File {
            tokenizer,
            specials: specials(&config, &map),
            template: alone.or_else(|| of_config("default")),
            tool_template,
            ends,
            warnings,
            path,
        })
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn encode(&self, text: &str, specials: bool) -> Result<Vec<i64>> {
        let memory = memory_of_text(text.len());
        let encoded = crate::limits::reading(&self.path, memory, || self.tokenizer.encode_fast(text, specials))?;
        ids_of(encoded, &self.path)
    }

    pub(super) fn decode(&self, ids: &[i64]) -> Result<String> {
        let ids: Vec<u32> = ids.iter().filter_map(|id| narrow(*id)).collect();
        let memory = memory_of_tokens(ids.len());
        let text = crate::limits::reading(&self.path, memory, || self.tokenizer.decode(&ids, false))?;
        text.map_err(|error| damaged(&self.path, format_args!("the tokens cannot become text: {error}")))
    }

    /// What single tokens say.
    pub(super) fn token_bytes(&self, ids: &[i64]) -> Result<Vec<TokenBytes>> {
        let memory = memory_of_tokens(ids.len());
        crate::limits::reading(&self.path, memory, || spelled::of_file(&self.tokenizer, ids))
    }

    /// The special token of that text.
    pub(super) fn special(&self, text: &str) -> Option<i64> {
        let id = self.tokenizer.token_to_id(text)?;
        self.tokenizer
            .get_added_vocabulary()
            .is_special_token(text)
            .then_some(i64::from(id))
    }

    pub(super) fn ends(&self) -> Vec<i64> {
        let eos = self.specials.get("eos");
        let eos = eos.and_then(|text| self.tokenizer.token_to_id(text));
        eos.map(i64::from)
            .into_iter()
            .chain(self.ends.iter().copied())
            .collect()
    }

    pub(super) fn specials(&self) -> &Specials {
        &self.specials
    }

    pub(super) fn chat_template(&self, tools: bool) -> Option<Template<'_>> {
        let of_tools = self.tool_template.as_ref().filter(|_| tools);
        let stated = of_tools.or(self.template.as_ref())?;
        Some(Template {
            text: &stated.text,
            place: stated.path.display().to_string(),
        })
    }
}

/// Makes tokens of the vocabulary that the configuration lists as added be cut out of texts, where the tokenizer does not know them as such.
fn add(tokenizer: &mut tokenizers::Tokenizer, config: &Value) -> std::result::Result<(), String> {
    let listed = config["added_tokens_decoder"].as_object().into_iter().flatten();
    let missing = listed.filter_map(|(id, token)| {
        let text = token["content"].as_str().filter(|text| !text.is_empty())?;
        let is_its_own = tokenizer.token_to_id(text).is_some_and(|own| own.to_string() == *id);
        let known = tokenizer.get_added_vocabulary().get_vocab().contains_key(text);
        let is = |name: &str| token[name].as_bool().unwrap_or(false);
        let added = AddedToken::from(text, is("special"))
            .single_word(is("single_word"))
            .lstrip(is("lstrip"))
            .rstrip(is("rstrip"))
            .normalized(is("normalized"));
        (is_its_own && !known).then_some(added)
    });
    let (special, plain): (Vec<AddedToken>, Vec<AddedToken>) = missing.partition(|token| token.special);
    // All at once: every call makes the search for them anew.
    let made = tokenizer
        .add_special_tokens(special)
        .and_then(|_| tokenizer.add_tokens(plain));
    made.map(drop).map_err(|error| error.to_string())
}

/// A configuration that need not be there.
fn beside(place: &Place) -> Result<Value> {
    if !place.exists() {
        return Ok(Value::Null);
    }
    let text = place.read(LARGEST)?;
    serde_json::from_slice(&text).map_err(|error| no_json(place, &error))
}

fn no_json(place: &Place, error: &serde_json::Error) -> Error {
    damaged(
        &place.shown(),
        format_args!("this is not JSON: {error}; fetch the file again"),
    )
}

/// Special tokens of `tokenizer_config.json` and `special_tokens_map.json`. As in `transformers`, the second counts more where
/// the first does not list all added tokens.
fn specials(config: &Value, map: &Value) -> Specials {
    let order = match config["added_tokens_decoder"] {
        Value::Null => [map, config],
        _ => [config, map],
    };
    Specials::of(|name| {
        let found = order.iter().find_map(|from| {
            let token = &from[format!("{name}_token")];
            token.as_str().or_else(|| token["content"].as_str())
        });
        found.map(str::to_owned)
    })
}

/// Ids that end a text and what is wrong with them: those of `generation_config.json`, else those of `config.json`.
fn ends_beside(tokenizer: &Place) -> Result<(Vec<i64>, Vec<String>)> {
    let mut warnings = Vec::new();
    for name in ["generation_config.json", "config.json"] {
        let place = tokenizer.beside(name);
        let said = match config_beside(&place) {
            Ok(value) => value["eos_token_id"].clone(),
            Err(error) if name == "config.json" => {
                warnings.push(format!("{error}; the ids that end a text were not read from it"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if said.is_null() {
            continue;
        }
        match ids(&said) {
            Some(ids) => return Ok((ids, warnings)),
            None => warnings.push(format!(
                "{}: `eos_token_id` is left out: {said} is no token id or list of them",
                place.shown().display()
            )),
        }
    }
    Ok((Vec::new(), warnings))
}

/// A configuration that need not be there, in which Python may have written bare `Infinity` and `NaN`, which are not used.
fn config_beside(place: &Place) -> Result<Value> {
    if !place.exists() {
        return Ok(Value::Null);
    }
    let text = place.read(LARGEST)?;
    let plain = || {
        let text = String::from_utf8_lossy(&text);
        let text = ["-Infinity", "Infinity", "NaN"]
            .iter()
            .fold(text.into_owned(), |text, word| text.replace(word, "0"));
        serde_json::from_str(&text).ok()
    };
    serde_json::from_slice(&text).or_else(|error| plain().ok_or_else(|| no_json(place, &error)))
}

/// The template of that name of several; a single one is `default`.
fn template_of(config: &Value, name: &str) -> Option<String> {
    let template = &config["chat_template"];
    let several = || template.as_array()?.iter().find(|one| one["name"] == name)?["template"].as_str();
    let single = template.as_str().filter(|_| name == "default");
    single.or_else(several).map(str::to_owned)
}

/// An id or a list of ids; `None` for anything else.
fn ids(value: &Value) -> Option<Vec<i64>> {
    match value {
        Value::Array(list) => list.iter().map(Value::as_i64).collect(),
        one => Some(vec![one.as_i64()?]),
    }
}
