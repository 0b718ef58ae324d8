//! The vocabulary in the metadata of a GGUF file: what each token says.

use std::sync::Arc;

use seqc_checkpoint::{Checkpoint, Metadata, Source as Place, tokenizer_kinds};

use super::texts::Texts;
use crate::{
    Result,
    tokenizer::{
        bytes::{self, SPACE},
        calls::damaged,
        kinds,
        specials::Specials,
        spelled::TokenBytes,
    },
};

/// Token types, as `tokenizer.ggml.token_type` numbers them.
pub(super) const UNKNOWN: u8 = 2;
pub(super) const CONTROL: u8 = 3;
pub(super) const USER_DEFINED: u8 = 4;
const UNUSED: u8 = 5;
pub(super) const BYTE: u8 = 6;

/// What converters write for `tokenizer.ggml.pre` where they do not know how texts are cut.
const UNKNOWN_CUTS: &str = "default";

/// How tokens spell text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A character for each byte.
    ByteLevel(kinds::Kind),
    /// Plain text with `▁` for spaces and `<0x0A>` for single bytes.
    Pieces(Cut),
}

/// How pieces are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Neighbours are joined, the best score first.
    Merged,
    /// The pieces whose scores sum to the most (Kudo 2018, arXiv:1804.10959).
    Likeliest,
}

/// The vocabulary of a GGUF file.
pub(in crate::tokenizer) struct Vocabulary {
    checkpoint: Checkpoint,
    pub(super) spelling: Spelling,
    pub(super) texts: Arc<Texts>,
    types: Vec<u8>,
    pub(super) adds: Adds,
    warnings: Vec<String>,
}

/// What is added to a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adds {
    pub(super) bos: Option<i64>,
    pub(super) eos: Option<i64>,
    pub(super) space: bool,
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary")
            .field("spelling", &self.spelling)
            .field("tokens", &self.texts.len())
            .finish_non_exhaustive()
    }
}

impl Vocabulary {
    pub(in crate::tokenizer) fn open(place: &Place) -> Result<Vocabulary> {
        let checkpoint = Checkpoint::open_source(place)?;
        let path = &place.shown();
        let Some(metadata) = checkpoint.gguf() else {
            return Err(damaged(path, "not a GGUF file"));
        };
        let mut warnings = Vec::new();
        let spelling = spelling(metadata, &mut warnings).map_err(|message| damaged(path, message))?;
        let texts = metadata
            .array("tokenizer.ggml.tokens")
            .and_then(|list| Texts::of(&list));
        let texts = texts.filter(|texts| texts.len() > 0);
        let texts = texts.ok_or_else(|| damaged(path, "`tokenizer.ggml.tokens` is no list of texts"))?;
        let types = types(metadata, texts.len()).map_err(|message| damaged(path, message))?;
        let adds = adds(metadata, spelling, texts.len());
        warnings.extend(ids_outside(metadata, texts.len()));
        Ok(Vocabulary {
            spelling,
            texts: Arc::new(texts),
            types,
            adds,
            warnings,
            checkpoint,
        })
    }

    pub(super) fn metadata(&self) -> Option<&Metadata> {
        self.checkpoint.gguf()
    }

    pub(in crate::tokenizer) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn is(&self, id: usize, kinds: &[u8]) -> bool {
        self.types.get(id).is_some_and(|kind| kinds.contains(kind))
    }

    /// The special token of that text.
    pub(in crate::tokenizer) fn special(&self, text: &str) -> Option<i64> {
        let specials = (0..self.texts.len()).filter(|id| self.is(*id, &[CONTROL, USER_DEFINED]));
        let mut found = specials.filter(|id| self.texts.get(*id) == Some(text));
        found.next().map(|id| id as i64)
    }

    /// Ids that the file says end a text or a turn.
    pub(in crate::tokenizer) fn ends(&self) -> Vec<i64> {
        let Some(metadata) = self.metadata() else {
            return Vec::new();
        };
        ["eos", "eot", "eom"]
            .iter()
            .filter_map(|name| metadata.uint(&format!("tokenizer.ggml.{name}_token_id")))
            .filter_map(|id| i64::try_from(id).ok().filter(|_| id < self.texts.len() as u64))
            .collect()
    }

    pub(in crate::tokenizer) fn specials(&self) -> Specials {
        Specials::of(|name| {
            let key = match name {
                "unk" => "unknown",
                "sep" => "seperator",
                "pad" => "padding",
                name => name,
            };
            let id = self.metadata()?.uint(&format!("tokenizer.ggml.{key}_token_id"))?;
            self.texts.get(usize::try_from(id).ok()?).map(str::to_owned)
        })
    }

    /// The chat template and its key, that for conversations with tools if they are given and there is one.
    pub(in crate::tokenizer) fn chat_template(&self, tools: bool) -> Option<(&'static str, &str)> {
        let of = |key: &'static str| Some((key, self.metadata()?.str(key)?));
        let of_tools = of("tokenizer.chat_template.tool_use").filter(|_| tools);
        of_tools.or_else(|| of("tokenizer.chat_template"))
    }

    /// Adds the bytes that a token says.
    pub(in crate::tokenizer) fn append(&self, id: i64, out: &mut Vec<u8>) {
        let Some((id, text)) = usize::try_from(id).ok().and_then(|id| Some((id, self.texts.get(id)?))) else {
            return;
        };
        match self.spelling {
            _ if self.is(id, &[CONTROL, USER_DEFINED]) => out.extend(text.as_bytes()),
            Spelling::ByteLevel(_) => out.extend(bytes::of_characters(text)),
            Spelling::Pieces(_) => match bytes::single(text).filter(|_| self.is(id, &[BYTE])) {
                Some(byte) => out.push(byte),
                None => out.extend(text.replace(SPACE, " ").as_bytes()),
            },
        }
    }

    /// What a token says.
    pub(in crate::tokenizer) fn token_bytes(&self, id: i64) -> TokenBytes {
        let mut bytes = Vec::new();
        self.append(id, &mut bytes);
        let special = usize::try_from(id).is_ok_and(|id| self.is(id, &[UNKNOWN, CONTROL, UNUSED]));
        TokenBytes { bytes, special }
    }

    pub(in crate::tokenizer) fn decode(&self, ids: &[i64]) -> String {
        let mut all = Vec::new();
        for id in ids {
            self.append(*id, &mut all);
        }
        let text = String::from_utf8_lossy(&all);
        let padded = self.adds.space && matches!(self.spelling, Spelling::Pieces(_));
        match text.strip_prefix(' ').filter(|_| padded) {
            Some(rest) => rest.to_owned(),
            None => text.into_owned(),
        }
    }
}

fn spelling(metadata: &Metadata, warnings: &mut Vec<String>) -> std::result::Result<Spelling, String> {
    match metadata.str("tokenizer.ggml.model") {
        Some(tokenizer_kinds::BYTE_LEVEL) => {
            let name = metadata.str("tokenizer.ggml.pre").filter(|name| *name != UNKNOWN_CUTS);
            let kind = name.and_then(kinds::by_name);
            if kind.is_none() {
                let why = match name {
                    Some(name) => format!("tokenizers of the kind `{name}` (`tokenizer.ggml.pre`) are unknown here"),
                    None => "the file does not say how texts are cut (`tokenizer.ggml.pre`)".to_owned(),
                };
                warnings.push(format!(
                    "{why}; they are cut as GPT-2 does, which may give other tokens: \
                     give the model's own tokenizer.json with --tokenizer, or convert the file again"
                ));
            }
            Ok(Spelling::ByteLevel(kind.unwrap_or(kinds::Kind::PLAIN)))
        }
        Some(tokenizer_kinds::MERGED) => Ok(Spelling::Pieces(Cut::Merged)),
        Some(tokenizer_kinds::LIKELIEST) => Ok(Spelling::Pieces(Cut::Likeliest)),
        Some(other) => Err(format!(
            "a tokenizer of the kind `{other}` (`tokenizer.ggml.model`); `gpt2`, `llama` and `t5` are known: \
             give the model's tokenizer.json with --tokenizer"
        )),
        None => Err("the file holds no tokenizer (no `tokenizer.ggml.model`): give one with --tokenizer".to_owned()),
    }
}

/// Ids of special tokens that the vocabulary does not have.
fn ids_outside(metadata: &Metadata, tokens: usize) -> impl Iterator<Item = String> {
    ["bos", "eos", "eot", "eom"].into_iter().filter_map(move |name| {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = metadata.uint(&key).filter(|id| *id >= tokens as u64)?;
        Some(format!(
            "`{key}` is {id}, the vocabulary has ids up to {}: it is left out",
            tokens - 1
        ))
    })
}

fn types(metadata: &Metadata, tokens: usize) -> std::result::Result<Vec<u8>, String> {
    let Some(list) = metadata.array("tokenizer.ggml.token_type") else {
        return Ok(Vec::new());
    };
    if list.len() != tokens {
        return Err(format!("{} token types for {tokens} tokens", list.len()));
    }
    let number = |value: seqc_checkpoint::Value| value.as_uint().and_then(|kind| u8::try_from(kind).ok()).unwrap_or(0);
    Ok(list.iter().map(number).collect())
}

fn adds(metadata: &Metadata, spelling: Spelling, tokens: usize) -> Adds {
    let id = |name: &str| {
        let id = metadata.uint(&format!("tokenizer.ggml.{name}_token_id"))?;
        i64::try_from(id).ok().filter(|id| (*id as u64) < tokens as u64)
    };
    let wanted = |name: &str, otherwise: bool| {
        metadata
            .bool(&format!("tokenizer.ggml.add_{name}"))
            .unwrap_or(otherwise)
    };
    let (bos, eos, space) = match spelling {
        Spelling::ByteLevel(kind) => (kind.adds_bos, false, false),
        Spelling::Pieces(Cut::Merged) => (true, false, true),
        Spelling::Pieces(Cut::Likeliest) => (false, true, true),
    };
    Adds {
        bos: id("bos").filter(|_| wanted("bos_token", bos)),
        eos: id("eos").filter(|_| wanted("eos_token", eos)),
        space: wanted("space_prefix", space),
    }
}
