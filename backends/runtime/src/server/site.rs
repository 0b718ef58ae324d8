//! What all requests of a server share.

use std::sync::{Arc, OnceLock};

use super::problem::Problem;
use crate::{
    engine::{Generation, Handle, Pooling},
    fields::Fields,
    generation::{Constraint, Grammar, GrammarVocabulary},
    streams::{self, width},
    tokenizer::Tokenizer,
};

/// What a server offers, and to whom.
#[derive(Debug)]
pub(crate) struct Site {
    /// Where requests are answered.
    pub(crate) handle: Handle,
    /// Text to tokens and back.
    pub(crate) tokenizer: Option<Arc<Tokenizer>>,
    /// The model's name.
    pub(crate) model: String,
    /// Tokens that end an answer.
    pub(crate) ends: Vec<i64>,
    /// Who knows it may ask; none: everybody.
    pub(crate) api_key: Option<String>,
    /// Bytes of a request.
    pub(crate) largest_body: usize,
    /// The most tokens of one answer.
    pub(crate) max_tokens: usize,
    /// How embeddings are made.
    pub(crate) pooling: Pooling,
    /// When the server began, in seconds since 1970.
    pub(crate) started: u64,
    /// The vocabulary for answers that follow a grammar, made when the first one is asked for.
    pub(crate) vocabulary: OnceLock<GrammarVocabulary>,
}

impl Site {
    /// The tokenizer, for what cannot be done without.
    pub(super) fn tokenizer(&self) -> Result<&Tokenizer, Problem> {
        let missing = || Problem::wrong("the model has no tokenizer: give the prompt as a list of token ids");
        self.tokenizer.as_deref().ok_or_else(missing)
    }

    /// Whether conversations can be rendered.
    pub(super) fn chats(&self) -> bool {
        let template = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.chat_template());
        template.is_some() && self.generates()
    }

    /// Whether there is a next token to choose.
    pub(super) fn generates(&self) -> bool {
        streams::logits(self.handle.descriptor()).is_ok()
    }

    /// How the answers to a request come; log probabilities are left to the caller.
    pub(super) fn generation(&self, fields: &Fields, max_tokens: Option<usize>) -> Result<Generation, Problem> {
        let max_tokens = max_tokens.unwrap_or(usize::MAX).min(self.max_tokens);
        let mut generation = fields.generation(&self.ends, max_tokens)?;
        generation.constraint = fields.grammar()?.map(|grammar| self.constraint(&grammar)).transpose()?;
        Ok(generation)
    }

    /// The start of an answer that follows a grammar.
    fn constraint(&self, grammar: &Grammar) -> Result<Constraint, Problem> {
        let descriptor = self.handle.descriptor();
        let vocabulary = match self.vocabulary.get() {
            Some(vocabulary) => vocabulary,
            None => {
                let vocab = width(&descriptor.outputs[streams::logits(descriptor)?]);
                let made = GrammarVocabulary::new(self.tokenizer()?, vocab, &self.ends)?;
                self.vocabulary.get_or_init(|| made)
            }
        };
        Ok(vocabulary.constraint(grammar)?)
    }

    /// Runs what takes time beside the connections.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Site>,
        work: impl FnOnce(&Arc<Site>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let site = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&site)).await;
        done.unwrap_or_else(|_| Err(Problem::ended()))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_secs())
}
