//! What all requests of a server share.

use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::{
    engine::{Generation, Handle},
    fields::Fields,
    generation::{Constraint, Grammar, GrammarVocabulary},
    pooling::Pooling,
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
    /// Who does what takes time.
    pub(crate) threads: Threads,
}

/// Threads that work beside that of the connections, as many as may be busy at once.
#[derive(Debug)]
pub(crate) struct Threads {
    helpers: Arc<Semaphore>,
    /// Those that build grammars, which is not to hold up the rest.
    builders: Arc<Semaphore>,
}

impl Threads {
    const HELPERS: usize = 2;
    const BUILDERS: usize = 2;
    /// All of them.
    pub(super) const COUNT: usize = Threads::HELPERS + Threads::BUILDERS;

    pub(crate) fn new() -> Threads {
        Threads {
            helpers: Arc::new(Semaphore::new(Threads::HELPERS)),
            builders: Arc::new(Semaphore::new(Threads::BUILDERS)),
        }
    }
}

impl Site {
    /// The tokenizer, for what cannot be done without.
    pub(super) fn tokenizer(&self) -> Result<&Tokenizer, Problem> {
        let missing = || Problem::wrong("the model has no tokenizer: give the prompt as a list of token ids");
        self.tokenizer.as_deref().ok_or_else(missing)
    }

    /// Whether conversations can be rendered.
    pub(super) fn chats(&self) -> bool {
        let template = self
            .tokenizer
            .as_ref()
            .and_then(|tokenizer| tokenizer.chat_template(false));
        template.is_some() && self.generates()
    }

    /// Whether there is a next token to choose.
    pub(super) fn generates(&self) -> bool {
        streams::logits(self.handle.descriptor()).is_ok()
    }

    /// How the answers to a request come; log probabilities and grammars are left to the caller.
    pub(super) fn generation(&self, fields: &Fields, max_tokens: Option<usize>) -> Result<Generation, Problem> {
        let max_tokens = max_tokens.unwrap_or(usize::MAX).min(self.max_tokens);
        Ok(fields.generation(&self.ends, max_tokens)?)
    }

    /// The start of an answer that follows a grammar. Building it may take long, which nothing but other grammars waits for.
    pub(super) async fn constraint(self: &Arc<Site>, grammar: Grammar) -> Result<Constraint, Problem> {
        self.beside(&self.threads.builders, move |site| site.build(&grammar))
            .await
    }

    fn build(&self, grammar: &Grammar) -> Result<Constraint, Problem> {
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
        self.beside(&self.threads.helpers, work).await
    }

    /// The same on one of these threads.
    async fn beside<T: Send + 'static>(
        self: &Arc<Site>,
        threads: &Arc<Semaphore>,
        work: impl FnOnce(&Arc<Site>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let thread = Arc::clone(threads).acquire_owned().await;
        let site = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&site);
            drop(thread);
            result
        });
        done.await.unwrap_or_else(|_| Err(Problem::ended()))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_secs())
}
