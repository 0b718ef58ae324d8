//! What people expect of generation, for every interface alike: how tokens are chosen, where an answer ends, which part of
//! it may be shown, which form it must have.
//!
//! A [`Continuation`] is one answer that comes token by token: it is given the logits after the last token and chooses a token
//! ([`Continuation::choose`]), then says what that token shows and whether the answer is over ([`Continuation::take`]).
//! Reading the token is left to the caller. Its parts can be used alone: a [`Sampler`], [`StopTexts`], [`LogProbs`].

mod constraint;
mod logprobs;
mod options;
mod sampler;
mod speculate;
mod stop;
#[cfg(test)]
mod tests;
mod truncate;

pub(crate) use constraint::settle_panic_hook;
pub use constraint::{Constraint, Grammar, GrammarVocabulary};
pub use logprobs::{LogProb, LogProbs};
pub use options::{SamplingOptions, TokenBias};
pub use sampler::{Sampler, greedy};
pub use speculate::{DraftTotals, Drafting, Speculation};
pub use stop::{Shown, StopTexts};
pub use truncate::Candidate;

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

    /// Takes a token that was chosen.
    ///
    /// # Errors
    ///
    /// A `tokenizer.json` whose decoder fails, or a token that the grammar does not admit.
    pub fn take(&mut self, token: i64) -> Result<Taken> {
        if self.ends.contains(&token) {
            return Ok(Taken::End);
        }
        let complete = match &mut self.constraint {
            Some(constraint) => constraint.accept(token)?,
            None => false,
        };
        let Some(stream) = &mut self.text else {
            return Ok(if complete {
                Taken::Complete(String::new())
            } else {
                Taken::Text(String::new())
            });
        };
        let Shown { text, stopped } = self.stops.push(&stream.push(token)?);
        Ok(match (stopped, complete) {
            (true, _) => Taken::Stopped(text),
            (false, true) => Taken::Complete(text),
            (false, false) => Taken::Text(text),
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
