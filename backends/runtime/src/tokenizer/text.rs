//! Tokens to text one by one: only whole characters come out.

use super::{bytes, file::File, gguf::Vocabulary, source::Source};
use crate::Result;

/// Tokens of the text before that a decoder may look back at.
const LOOK_BACK: usize = 8;

/// The text of a growing list of tokens.
#[derive(Debug)]
pub struct TextStream<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    /// Every token says its bytes, whatever stands before.
    Bytes { vocabulary: &'a Vocabulary, bytes: Vec<u8> },
    /// What a token says depends on those before: `shown` is how much of the text of `ids` has come out.
    Context {
        file: &'a File,
        ids: Vec<i64>,
        shown: usize,
    },
}

impl<'a> TextStream<'a> {
    pub(super) fn new(source: &'a Source, before: &[i64]) -> TextStream<'a> {
        let recent = &before[before.len().saturating_sub(LOOK_BACK)..];
        TextStream(match source {
            Source::Gguf(gguf) => {
                let vocabulary = gguf.vocabulary();
                let mut bytes = Vec::new();
                recent.iter().for_each(|id| vocabulary.append(*id, &mut bytes));
                // What is complete stands there already.
                bytes::take_whole(&mut bytes);
                Kind::Bytes { vocabulary, bytes }
            }
            Source::File(file) => Kind::Context {
                shown: file.decode(recent).map_or(0, |text| whole(&text).len()),
                file,
                ids: recent.to_vec(),
            },
        })
    }

    /// The characters that are complete with this token.
    ///
    /// # Errors
    ///
    /// A `tokenizer.json` whose decoder fails.
    pub fn push(&mut self, id: i64) -> Result<String> {
        match &mut self.0 {
            Kind::Bytes { vocabulary, bytes } => {
                vocabulary.append(id, bytes);
                Ok(bytes::take_whole(bytes))
            }
            Kind::Context { file, ids, shown } => {
                ids.push(id);
                let text = file.decode(ids)?;
                if text.ends_with(char::REPLACEMENT_CHARACTER) {
                    return Ok(String::new());
                }
                let new = text.get(*shown..).unwrap_or_default().to_owned();
                *shown = text.len();
                if !new.is_empty() && ids.len() > 2 * LOOK_BACK {
                    ids.drain(..ids.len() - LOOK_BACK);
                    *shown = file.decode(ids)?.len();
                }
                Ok(new)
            }
        }
    }

    /// What is left: the beginning of a character that was never completed becomes a replacement character.
    pub fn finish(self) -> String {
        match self.0 {
            Kind::Bytes { bytes, .. } => String::from_utf8_lossy(&bytes).into_owned(),
            Kind::Context { file, ids, shown } => {
                let text = file.decode(&ids).unwrap_or_default();
                text.get(shown..).unwrap_or_default().to_owned()
            }
        }
    }
}

/// A text without the beginning of a character at its end.
fn whole(text: &str) -> &str {
    text.trim_end_matches(char::REPLACEMENT_CHARACTER)
}
