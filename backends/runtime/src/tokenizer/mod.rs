//! Text to tokens and back, as published tokenizers define it: from a `tokenizer.json` or the metadata of a GGUF file.

mod bytes;
mod calls;
mod faults;
mod file;
mod gguf;
mod kinds;
mod source;
mod specials;
mod spelled;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use specials::Specials;
pub use spelled::TokenBytes;
pub use template::Template;
pub use text::TextStream;

use std::path::Path;

use seqc_checkpoint::Source as Place;

use crate::Result;
use source::Source;

/// Tokens that end a text or a turn, wherever a vocabulary has them among its special tokens.
const END_OF_TURN: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|end_of_turn|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<EOT>",
    "</s>",
    "<eos>",
];

/// A tokenizer with what belongs to it: special tokens and the chat template.
#[derive(Debug)]
pub struct Tokenizer {
    source: Source,
    /// Ids after which a text or a turn is over.
    stops: Vec<i64>,
}

impl Tokenizer {
    /// Opens a `tokenizer.json`, a folder that holds one, or a GGUF file.
    ///
    /// # Errors
    ///
    /// A file that is missing, damaged, contradicts itself, or holds a kind of tokenizer unknown here.
    pub fn open(path: &Path) -> Result<Tokenizer> {
        Tokenizer::open_source(&path.into())
    }

    /// [`Tokenizer::open`] of a file that may lie inside the program.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::open`].
    pub(crate) fn open_source(place: &Place) -> Result<Tokenizer> {
        if !place.is_folder() {
            place.check_plain()?;
        }
        if place.starts_with(b"GGUF") {
            let gguf = gguf::Gguf::open(place)?;
            let mut stops = gguf.vocabulary().ends();
            stops.extend(END_OF_TURN.iter().filter_map(|text| gguf.vocabulary().special(text)));
            return Ok(Tokenizer {
                source: Source::Gguf(Box::new(gguf)),
                stops,
            });
        }
        let file = file::File::open(place)?;
        let mut stops = file.ends();
        stops.extend(END_OF_TURN.iter().filter_map(|text| file.special(text)));
        Ok(Tokenizer {
            source: Source::File(Box::new(file)),
            stops,
        })
    }

    /// Remarks about this tokenizer for the user.
    pub fn warnings(&self) -> &[String] {
        match &self.source {
            Source::Gguf(gguf) => gguf.vocabulary().warnings(),
            Source::File(file) => file.warnings(),
        }
    }

    /// Tokens of a text, in which special tokens count as such. At the start of a sequence come the tokens that the
    /// tokenizer puts there.
    ///
    /// # Errors
    ///
    /// A vocabulary that contradicts itself, or whose patterns fail on this text.
    pub fn encode(&self, text: &str, starts: bool) -> Result<Vec<i64>> {
        match &self.source {
            Source::Gguf(gguf) => gguf.encode(text, starts),
            Source::File(file) => file.encode(text, starts),
        }
    }

    /// Tokens of a rendered chat, without adding a begin-of-sequence token: the template may write one.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_rendered(&self, text: &str, starts: bool) -> Result<Vec<i64>> {
        match &self.source {
            Source::Gguf(gguf) => {
                let specials = gguf.vocabulary().specials();
                let bos = specials.get("bos").filter(|bos| !bos.is_empty());
                let begun = bos.is_some_and(|bos| text.starts_with(bos));
                gguf.encode(text, starts && !begun)
            }
            Source::File(file) => file.encode(text, false),
        }
    }

    /// The text of tokens, special ones included; ids outside of the vocabulary say nothing.
    ///
    /// # Errors
    ///
    /// A `tokenizer.json` whose decoder fails.
    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        match &self.source {
            Source::Gguf(gguf) => Ok(gguf.vocabulary().decode(ids)),
            Source::File(file) => file.decode(ids),
        }
    }

    /// What single tokens say inside a text, each by itself; ids outside of the vocabulary say nothing.
    ///
    /// # Errors
    ///
    /// A `tokenizer.json` that contradicts itself.
    pub fn token_bytes(&self, ids: &[i64]) -> Result<Vec<TokenBytes>> {
        match &self.source {
            Source::Gguf(gguf) => Ok(ids.iter().map(|id| gguf.vocabulary().token_bytes(*id)).collect()),
            Source::File(file) => file.token_bytes(ids),
        }
    }

    /// Turns tokens to text one by one; `before` are those of the text that stands there already.
    pub fn stream(&self, before: &[i64]) -> TextStream<'_> {
        TextStream::new(&self.source, before)
    }

    /// The tokens with which a text or a turn ends.
    pub fn stops(&self) -> &[i64] {
        &self.stops
    }

    /// The chat template, that for conversations with tools if they are given and it has one.
    pub fn chat_template(&self, tools: bool) -> Option<Template<'_>> {
        match &self.source {
            Source::Gguf(gguf) => {
                let (key, text) = gguf.vocabulary().chat_template(tools)?;
                let place = format!("{key} of {}", gguf.path().display());
                Some(Template { text, place })
            }
            Source::File(file) => file.chat_template(tools),
        }
    }

    /// The special tokens that templates ask for.
    pub fn specials(&self) -> Specials {
        match &self.source {
            Source::Gguf(gguf) => gguf.vocabulary().specials(),
            Source::File(file) => file.specials().clone(),
        }
    }
}
