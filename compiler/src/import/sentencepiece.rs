//! SentencePiece models (`tokenizer.model`; Kudo & Richardson 2018, arXiv:1808.06226) as the tokenizer of a GGUF file, which programs read.
//!
//! Fields are those of `sentencepiece_model.proto`. Pieces have their numbers as ids, as transformers has them for such a file; the tokens that
//! `tokenizer_config.json` adds come behind them or in their place.

use prost::Message;
use seqc_checkpoint::{Keys, read_at_most, tokenizer_kinds};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Longer files are refused.
const LARGEST: u64 = 1 << 27;
/// Ids up to here may be added.
const MOST: usize = 1 << 24;

/// Types of pieces, which GGUF files number in the same way.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    training: Option<Training>,
    #[prost(message, optional, tag = "3")]
    normaliser: Option<Normaliser>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Training {
    #[prost(int32, optional, tag = "3")]
    model: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    space_behind: Option<bool>,
    #[prost(int32, optional, tag = "40")]
    unknown: Option<i32>,
    #[prost(int32, optional, tag = "41")]
    begin: Option<i32>,
    #[prost(int32, optional, tag = "42")]
    end: Option<i32>,
    #[prost(int32, optional, tag = "43")]
    padding: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Normaliser {
    #[prost(bytes = "vec", optional, tag = "2")]
    characters: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    space_before: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    single_spaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    marks_spaces: Option<bool>,
}

/// A file beside the model that is made of one of the checkpoint.
#[derive(Debug)]
pub struct Converted {
    /// Where the model expects it.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A GGUF file with the tokenizer of a model's file, its settings and chat template beside it included; errors say what it is that
/// programs do not know.
pub(super) fn converted(path: &Path, to: PathBuf) -> Result<Converted, String> {
    let bytes = read_at_most(path, LARGEST).map_err(|error| error.to_string())?;
    let model = Model::decode(&bytes[..]).map_err(|_| "this is no model of SentencePiece".to_owned())?;
    let settings = json_beside(path, "tokenizer_config.json")?;
    let template = std::fs::read_to_string(path.with_file_name("chat_template.jinja")).ok();
    let mut keys = keys(model, &settings)?;
    let templates = &settings["chat_template"];
    let named = |name: &str| templates.as_array()?.iter().find(|one| one["name"] == name)?["template"].as_str();
    let default = template
        .as_deref()
        .or_else(|| templates.as_str())
        .or_else(|| named("default"));
    for (key, text) in [("", default), (".tool_use", named("tool_use"))] {
        if let Some(text) = text {
            keys.push_text(&format!("tokenizer.chat_template{key}"), text);
        }
    }
    Ok(Converted {
        path: to,
        bytes: keys.head(&[])?,
    })
}

fn json_beside(path: &Path, name: &str) -> Result<Value, String> {
    let path = path.with_file_name(name);
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = read_at_most(&path, LARGEST).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}

fn keys(model: Model, settings: &Value) -> Result<Keys, String> {
    let training = model.training.unwrap_or_default();
    let normaliser = model.normaliser.unwrap_or_default();
    let characters = normaliser.characters.unwrap_or_default();
    let kind = match training.model.unwrap_or(1) {
        1 => tokenizer_kinds::LIKELIEST,
        2 if characters.is_empty() => tokenizer_kinds::MERGED,
        2 => return Err("it merges pieces of a text whose characters it changes before".to_owned()),
        _ => return Err("its pieces are words or characters".to_owned()),
    };
    if training.space_behind == Some(true) || normaliser.marks_spaces == Some(false) {
        return Err("spaces are not marked in front of words".to_owned());
    }
    let mut pieces = model.pieces;
    if pieces.is_empty() {
        return Err("it has no pieces".to_owned());
    }
    add(&mut pieces, settings)?;
    let mut keys = Keys::default();
    keys.push_text("tokenizer.ggml.model", kind);
    let text = |piece: &Piece| piece.text.clone().unwrap_or_default();
    let texts: Vec<String> = pieces.iter().map(text).collect();
    keys.push_texts("tokenizer.ggml.tokens", texts.iter().map(String::as_str));
    keys.push_reals("tokenizer.ggml.scores", pieces.iter().map(|p| p.score.unwrap_or(0.0)));
    let kinds = pieces.iter().map(|p| p.kind.unwrap_or(NORMAL).unsigned_abs());
    keys.push_numbers("tokenizer.ggml.token_type", kinds);
    let own = [
        ("bos", "bos", training.begin.unwrap_or(1)),
        ("eos", "eos", training.end.unwrap_or(2)),
        ("unknown", "unk", training.unknown.unwrap_or(0)),
        ("padding", "pad", training.padding.unwrap_or(-1)),
    ];
    for (key, name, own) in own {
        let token = &settings[format!("{name}_token")];
        let named = token.as_str().or_else(|| token["content"].as_str());
        let id = named.and_then(|named| texts.iter().position(|text| text == named));
        let id = id
            .and_then(|id| u32::try_from(id).ok())
            .or_else(|| u32::try_from(own).ok());
        if let Some(id) = id.filter(|id| (*id as usize) < texts.len()) {
            keys.push_number(&format!("tokenizer.ggml.{key}_token_id"), id);
        }
    }
    let wanted = |name: &str, otherwise: bool| settings[name].as_bool().unwrap_or(otherwise);
    keys.push_bool("tokenizer.ggml.add_bos_token", wanted("add_bos_token", true));
    keys.push_bool("tokenizer.ggml.add_eos_token", wanted("add_eos_token", false));
    let space = wanted("add_prefix_space", normaliser.space_before.unwrap_or(true));
    keys.push_bool("tokenizer.ggml.add_space_prefix", space);
    keys.push_bool(
        "tokenizer.ggml.remove_extra_whitespaces",
        normaliser.single_spaces.unwrap_or(true),
    );
    if !characters.is_empty() {
        keys.push_bytes("tokenizer.ggml.precompiled_charsmap", &characters);
    }
    Ok(keys)
}

/// Adds the tokens of `added_tokens_decoder`. Ids between that nobody names are unused.
fn add(pieces: &mut Vec<Piece>, settings: &Value) -> Result<(), String> {
    let added = settings["added_tokens_decoder"].as_object().into_iter().flatten();
    let mut by_id: BTreeMap<usize, Piece> = BTreeMap::new();
    for (id, token) in added {
        let number = id.parse::<usize>().ok().filter(|id| *id < MOST);
        let id = number.ok_or_else(|| format!("`added_tokens_decoder`: `{id}` is no id of a token"))?;
        let kind = match token["special"].as_bool() {
            Some(true) => CONTROL,
            _ => USER_DEFINED,
        };
        let text = token["content"].as_str().map(str::to_owned);
        let text = text.ok_or_else(|| format!("`added_tokens_decoder`: `{id}` has no `content`"))?;
        by_id.insert(id, piece(text, kind));
    }
    for (id, new) in by_id {
        while pieces.len() <= id {
            pieces.push(piece(format!("[UNUSED {}]", pieces.len()), UNUSED));
        }
        // What the model does not know stays that.
        let known = pieces[id].text == new.text && !matches!(pieces[id].kind, None | Some(NORMAL));
        if !known {
            pieces[id] = new;
        }
    }
    Ok(())
}

fn piece(text: String, kind: i32) -> Piece {
    Piece {
        text: Some(text),
        score: Some(0.0),
        kind: Some(kind),
    }
}
