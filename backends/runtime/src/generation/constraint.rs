//! Answers that follow a JSON schema or a grammar: which tokens may come next, by the crate `llguidance`.
//!
//! Grammars are about bytes, so that every tokenizer will do and tokens may end anywhere in a word or a character. How an
//! answer is cut into tokens is left to the model: no token is forced but by being the only one.
//!
//! What a grammar may take is bounded (`limits`). Grammars are built, and the tokens that may come next are found, by threads
//! of their own (`build`, `ahead`, `workers`): who can go on with other answers meanwhile begins with [`Constraint::look_ahead`]
//! and asks whether it is ready; who cannot just calls [`Constraint::mask`] and waits.

mod ahead;
mod build;
mod grammar;
mod limits;
mod lost;
mod multiples;
#[cfg(test)]
mod tests;
#[cfg_attr(target_os = "wasi", path = "../wasi/thread.rs")]
mod thread;
mod workers;

pub use grammar::Grammar;
pub(crate) use lost::stop_thread_of_grammar;

use std::{
    collections::VecDeque,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use llguidance::{
    ParserFactory, TokenParser,
    toktrie::{ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie},
};

use crate::{Error, Result, limits::reading, tokenizer::Tokenizer};
use ahead::{Known, Next, Slot, Task};
use build::Builder;
use grammar::told;
use workers::Workers;

/// Longer tokens are never chosen: more than any vocabulary needs, and as much as the tree of all tokens admits.
const LONGEST_TOKEN: usize = 1000;
/// Between two looks at how long a thread has been at work.
const LOOK: Duration = Duration::from_millis(20);

/// A vocabulary as grammars see it: made once, used for every answer.
pub struct GrammarVocabulary {
    builder: Builder,
    workers: Arc<Workers>,
}

impl fmt::Debug for GrammarVocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.builder.factory().tok_env().tok_trie().vocab_size();
        f.debug_struct("GrammarVocabulary")
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

impl GrammarVocabulary {
    /// The first `vocab` tokens, of which `ends` end an answer.
    ///
    /// # Errors
    ///
    /// A tokenizer whose vocabulary cannot be used.
    pub fn new(tokenizer: &Tokenizer, vocab: usize, ends: &[i64]) -> Result<GrammarVocabulary> {
        let ids: Vec<i64> = (0..vocab as i64).collect();
        let words: Vec<Vec<u8>> = tokenizer
            .token_bytes(&ids)?
            .into_iter()
            .map(|token| match token.bytes.len() {
                LONGEST_TOKEN.. => Vec::new(),
                _ if token.special => [&[TokTrie::SPECIAL_TOKEN_MARKER], &token.bytes[..]].concat(),
                _ => token.bytes,
            })
            .collect();
        let mut ends: Vec<u32> = ends.iter().filter_map(|id| u32::try_from(*id).ok()).collect();
        ends.retain(|id| (*id as usize) < vocab);
        let made = reading(Path::new("the tokenizer"), limits::MEMORY, || {
            let mut trie = TokTrie::from(&TokRxInfo::new(vocab as u32, INVALID_TOKEN), &words);
            if !ends.is_empty() {
                trie = trie.with_eos_tokens(&ends);
            }
            let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            let slices = llguidance::earley::SlicedBiasComputer::json_slices();
            ParserFactory::new(&environment, InferenceCapabilities::default(), &slices)
        })?;
        let mut factory = made.map_err(|error| Error::input(format!("the vocabulary cannot be used: {error}")))?;
        *factory.quiet().limits_mut() = limits::of_parser();
        Ok(GrammarVocabulary {
            builder: Builder::new(factory),
            workers: Arc::new(Workers::new()),
        })
    }

    /// An answer that follows this grammar, from its start.
    ///
    /// # Errors
    ///
    /// A grammar that is wrong, too large, or takes too long to build.
    pub fn constraint(&self, grammar: &Grammar) -> Result<Constraint> {
        let parser = self.builder.build(grammar)?;
        Ok(Constraint::new(grammar.name(), parser, &self.workers))
    }
}

/// Which tokens may come next in an answer that follows a grammar.
pub struct Constraint {
    name: PathBuf,
    workers: Arc<Workers>,
    slot: Arc<Slot>,
    /// Tokens that were chosen and that the parser has not taken.
    chosen: Vec<u32>,
    /// The draft along which it was asked how the answer goes on, and what was found out of that: the first for the next token.
    draft: VecDeque<u32>,
    found: VecDeque<Next>,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Clone for Constraint {
    fn clone(&self) -> Constraint {
        let Known { parser, found } = loop {
            match self.slot.copy() {
                Some(known) => break known,
                None => self.slot.wait(&self.workers, LOOK),
            };
        };
        let mut copy = Constraint::new(&self.name, parser, &self.workers);
        copy.chosen.clone_from(&self.chosen);
        copy.draft.clone_from(&self.draft);
        copy.found = match self.found.is_empty() {
            true => found.into(),
            false => self.found.clone(),
        };
        copy
    }
}

impl Drop for Constraint {
    fn drop(&mut self) {
        self.slot.abandon(&self.workers);
    }
}

impl Constraint {
    fn new(name: &Path, parser: TokenParser, workers: &Arc<Workers>) -> Constraint {
        Constraint {
            name: name.to_owned(),
            workers: Arc::clone(workers),
            slot: Slot::new(parser),
            chosen: Vec::new(),
            draft: VecDeque::new(),
            found: VecDeque::new(),
        }
    }

    /// Begins to find out which tokens may come next, and which ones after each token of a draft, unless that is known or
    /// being found out.
    pub fn look_ahead(&mut self, draft: &[i64]) {
        if !self.found.is_empty() || !self.slot.is_done(&self.workers) {
            return;
        }
        self.found = self.slot.take().into();
        if self.found.is_empty() {
            let draft: Vec<u32> = draft.iter().map(|token| id(*token)).collect();
            self.draft = draft.iter().copied().collect();
            let chosen = std::mem::take(&mut self.chosen);
            self.slot.begin(Task { chosen, draft }, &self.workers);
        }
    }

    /// Whether it is known which tokens may come next, so that nothing waits for it.
    pub fn is_ready(&mut self) -> bool {
        self.look_ahead(&[]);
        !self.found.is_empty()
    }

    /// Waits until it is ready, but not for longer than this.
    pub fn wait(&mut self, most: Duration) {
        if !self.is_ready() {
            self.slot.wait(&self.workers, most);
        }
    }

    /// What may come next, when that is known.
    fn next(&mut self) -> Result<&Next> {
        while !self.is_ready() {
            self.wait(LOOK);
        }
        match self.found.front() {
            Some(Next::Failed(why)) => Err(told(&self.name, why)),
            Some(next) => Ok(next),
            None => Ok(&Next::Complete),
        }
    }

    /// Whether the answer is complete, so that nothing can follow.
    ///
    /// # Errors
    ///
    /// A grammar that no token can continue or that takes too long, or a token that it does not admit.
    pub fn is_complete(&mut self) -> Result<bool> {
        self.next().map(|next| matches!(next, Next::Complete))
    }

    /// Rules out, by minus infinity, what must not come next.
    ///
    /// # Errors
    ///
    /// As [`Constraint::is_complete`].
    pub fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let next = self.next()?;
        for (token, logit) in logits.iter_mut().enumerate() {
            let admitted = match next {
                Next::Mask(mask) => token < mask.len() && mask.get(token),
                Next::Complete | Next::Failed(_) => false,
            };
            if !admitted {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes the token that came next, without finding out what may come after it.
    pub fn push(&mut self, token: i64) {
        let token = id(token);
        self.chosen.push(token);
        match self.draft.pop_front() {
            Some(drafted) if drafted == token && self.found.len() > 1 => drop(self.found.pop_front()),
            _ => {
                self.draft.clear();
                self.found.clear();
            }
        }
    }

    /// Takes the token that came next. Whether the answer is complete, so that nothing can follow.
    ///
    /// # Errors
    ///
    /// As [`Constraint::is_complete`].
    pub fn accept(&mut self, token: i64) -> Result<bool> {
        self.push(token);
        self.is_complete()
    }

    /// Why no token is left.
    pub(super) fn nothing_left(&self) -> Error {
        Error::input(format!(
            "{}: the model and the biases rule out every token that may come next",
            self.name.display()
        ))
    }
}

/// A token as the parser counts them.
fn id(token: i64) -> u32 {
    u32::try_from(token).unwrap_or(INVALID_TOKEN)
}

/// Lets the reader of grammars put its panic hook in place now. It does so once and is silent about what it reads, which
/// is wrong where panics end the program: a hook that is set later stands.
pub(crate) fn settle_panic_hook() {
    // Nothing is done that could fail.
    let _ = llguidance::panic_utils::catch_unwind(|| Ok(()));
}
