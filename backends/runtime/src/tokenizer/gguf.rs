//! Tokenizers in the metadata of GGUF files: byte-level merges (`gpt2`), SentencePiece's merges by score (`llama`) and its
//! likeliest pieces (`t5`).
//!
//! Turning tokens to text needs the vocabulary alone; what turns text to tokens is made when the first text comes.

mod build;
mod merge;
#[cfg(test)]
mod tests;
mod texts;
mod vocabulary;

pub(super) use vocabulary::Vocabulary;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use seqc_checkpoint::Source as Place;

use super::calls::{damaged, ids_of, memory_of_file, memory_of_text};
use crate::{Result, limits::reading};
use build::Encoder;

/// The tokenizer of a GGUF file.
pub(super) struct Gguf {
    path: PathBuf,
    vocabulary: Vocabulary,
    encoder: OnceLock<Encoder>,
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gguf")
            .field("path", &self.path)
            .field("vocabulary", &self.vocabulary)
            .finish_non_exhaustive()
    }
}

impl Gguf {
    pub(super) fn open(place: &Place) -> Result<Gguf> {
        Ok(Gguf {
            path: place.shown(),
            vocabulary: Vocabulary::open(place)?,
            encoder: OnceLock::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(super) fn encode(&self, text: &str, starts: bool) -> Result<Vec<i64>> {
        let vocabulary = &self.vocabulary;
        let encoder = match self.encoder.get() {
            Some(encoder) => encoder,
            None => {
                let made = reading(&self.path, memory_of_file(vocabulary.texts.bytes()), || {
                    build::encoder(vocabulary)
                })?;
                let made = made.map_err(|message| damaged(&self.path, message))?;
                self.encoder.get_or_init(|| made)
            }
        };
        let mut ids: Vec<i64> = vocabulary.adds.bos.filter(|_| starts).into_iter().collect();
        let memory = memory_of_text(text.len());
        let encoded = reading(&self.path, memory, || encoder.encode(text))?;
        ids.extend(ids_of(encoded, &self.path)?);
        ids.extend(vocabulary.adds.eos.filter(|_| starts));
        Ok(ids)
    }
}
