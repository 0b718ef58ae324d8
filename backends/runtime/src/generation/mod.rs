//! What people expect of generation, for every interface alike: how tokens are chosen, where an answer ends, which part of
//! it may be shown, which form it must have.
//!
//! A [`Continuation`] is one answer that comes token by token: it is given the logits after the last token and chooses a token
//! ([`Continuation::choose`]), then says what that token shows and whether the answer is over ([`Continuation::take`]).
//! Reading the token is left to the caller. Its parts can be used alone: a [`Sampler`], [`StopTexts`], [`LogProbs`].

mod choosing;
mod constraint;
mod logprobs;
mod options;
mod sampler;
mod stop;
#[cfg(test)]
mod tests;
mod truncate;

pub(crate) use choosing::Choosing;
pub(crate) use constraint::settle_panic_hook;
pub(crate) use constraint::stop_thread_of_grammar;
pub use constraint::{Constraint, Grammar, GrammarVocabulary};
pub(crate) use logprobs::normal;
pub use logprobs::{LogProb, LogProbs};
pub use options::{SamplingOptions, TokenBias};
pub use sampler::{Sampler, greedy};
pub use stop::{Shown, StopTexts};
pub use truncate::Candidate;

use std::time::Duration;

use crate::{Error, Result, tokenizer::TextStream};

/// A token that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: i64,
    /// What the model thought of it, where that was asked for.
    pub logprobs: Option<LogProbs>,
}

/// What a token does to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The answer goes on, with these characters.
    Text(String),
    /// The token ends the answer and is no part of it.
    End,
    /// A stop text is complete: the answer ends with these characters.
    Stopped(String),
    /// The grammar admits nothing more: the answer ends with these characters.
    Complete(String),
}

/// Why an answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// As many tokens as asked for.
    Length,
    /// The context is full.
    Context,
    /// A token that ends a text or a turn, or a grammar that admits nothing more.
    End,
    /// A stop text.
    Stop,
}

/// How an answer is to come.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Tokens that end the answer.
    pub ends: Vec<i64>,
    /// Texts that end it.
    pub stops: Vec<String>,
    /// The grammar that it follows.
    pub constraint: Option<Constraint>,
    /// Log probabilities of every token, and of so many most likely ones.
    pub logprobs: Option<usize>,
}

/// One answer, token by token.
#[derive(Debug)]
pub struct Continuation<'t> {
    sampler: Sampler,
    /// Without a tokenizer there is no text.
    text: Option<TextStream<'t>>,
    stops: StopTexts,
    ends: Vec<i64>,
    constraint: Option<Constraint>,
    logprobs: Option<usize>,
}

/// The end of an answer that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Text that was held back.
    pub text: String,
    /// What stands for the beginning of a character that was never completed.
    pub broken: String,
}

impl<'t> Continuation<'t> {
    /// An answer whose tokens the sampler chooses, and whose text this is.
    ///
    /// # Errors
    ///
    /// An empty stop text, or one where there is no text.
    pub fn new(sampler: Sampler, text: Option<TextStream<'t>>, wishes: Wishes) -> Result<Continuation<'t>> {
        let stops = StopTexts::new(wishes.stops)?;
        if text.is_none() && !stops.is_empty() {
            return Err(Error::input("stop texts need a tokenizer"));
        }
        Ok(Continuation {
            sampler,
            text,
            stops,
            ends: wishes.ends,
            constraint: wishes.constraint,
            logprobs: wishes.logprobs,
        })
    }

    /// Takes tokens of the prompt.
    pub fn read(&mut self, tokens: &[i64]) {
        self.sampler.read(tokens);
    }

    /// Chooses the next token.
    ///
    /// # Errors
    ///
    /// A grammar that no token can go on with, or where all that remain are ruled out.
    pub fn choose(&mut self, logits: &[f32]) -> Result<Choice> {
        let token = match &mut self.constraint {
            None => self.sampler.next(logits),
            Some(constraint) => {
                let mut admitted = logits.to_vec();
                constraint.mask(&mut admitted)?;
                let token = self.sampler.next(&admitted);
                if admitted.get(token).is_none_or(|logit| *logit == f32::NEG_INFINITY) {
                    return Err(constraint.nothing_left());
                }
                token
            }
        };
        Ok(Choice {
            token: token as i64,
            logprobs: self.logprobs.map(|best| LogProbs::of(logits, token, best)),
        })
    }

    /// How steps may choose the next tokens in its place, `count` at most; `None`: it chooses them.
    pub(crate) fn choosing(&self, count: usize) -> Option<Choosing> {
        if self.constraint.is_some() || self.logprobs.is_some() {
            return None;
        }
        self.sampler.choosing(count, &self.ends)
    }

    /// Whether texts end it.
    pub(crate) fn has_stops(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Takes note of a token that a step chose in its place, as it would have.
    pub(crate) fn chosen(&mut self, token: i64) -> Choice {
        self.sampler.skip();
        Choice { token, logprobs: None }
    }

    /// Begins to find out, beside the caller, which tokens the grammar admits next, and which ones after each token of a draft.
    pub fn look_ahead(&mut self, draft: &[i64]) {
        if let Some(constraint) = &mut self.constraint {
            constraint.look_ahead(draft);
        }
    }

    /// Whether the next token can be chosen at once: with a grammar, when it is known what it admits.
    pub fn is_ready(&mut self) -> bool {
        self.constraint.as_mut().is_none_or(Constraint::is_ready)
    }

    /// Waits until it is ready, but not for longer than this.
    pub fn wait(&mut self, most: Duration) {
        if let Some(constraint) = &mut self.constraint {
            constraint.wait(most);
        }
    }

    /// Whether it follows a grammar.
    pub fn is_constrained(&self) -> bool {
        self.constraint.is_some()
    }

    /// Whether the grammar admits nothing more after the tokens that were put.
    ///
    /// # Errors
    ///
    /// A grammar that no token can go on with or that takes too long, or a token that it does not admit.
    pub fn is_complete(&mut self) -> Result<bool> {
        self.constraint.as_mut().map_or(Ok(false), Constraint::is_complete)
    }

    /// Takes a token that was chosen.
    ///
    /// # Errors
    ///
    /// As [`Continuation::put`] and [`Continuation::is_complete`].
    pub fn take(&mut self, token: i64) -> Result<Taken> {
        Ok(match self.put(token)? {
            Taken::Text(text) if self.is_complete()? => Taken::Complete(text),
            taken => taken,
        })
    }

    /// Takes a token that was chosen, and leaves it open whether the grammar admits anything after it.
    ///
    /// # Errors
    ///
    /// A `tokenizer.json` whose decoder fails.
    pub fn put(&mut self, token: i64) -> Result<Taken> {
        if self.ends.contains(&token) {
            return Ok(Taken::End);
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.push(token);
        }
        let Some(stream) = &mut self.text else {
            return Ok(Taken::Text(String::new()));
        };
        let Shown { text, stopped } = self.stops.push(&stream.push(token)?);
        Ok(match stopped {
            true => Taken::Stopped(text),
            false => Taken::Text(text),
        })
    }

    /// What is left of an answer that no stop text ended.
    pub fn finish(self) -> Rest {
        Rest {
            text: self.stops.finish(),
            broken: self.text.map(TextStream::finish).unwrap_or_default(),
        }
    }
}
