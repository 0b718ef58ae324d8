//! What people expect of generation, for every interface alike: how tokens are chosen, where an answer ends, which part of
//! it may be shown.
//!
//! A [`Continuation`] is one answer that comes token by token: it is given the scores of what was read and chooses a token
//! ([`Continuation::choose`]), then says what that token shows and whether the answer is over ([`Continuation::take`]).
//! Reading the token is left to the caller. Its parts can be used alone: a [`Sampler`], [`StopTexts`], [`LogProbs`].

mod logprobs;
mod options;
mod sampler;
mod stop;
#[cfg(test)]
mod tests;
mod truncate;

pub use logprobs::{LogProb, LogProbs};
pub use options::{SamplingOptions, TokenBias};
pub use sampler::{Sampler, greedy};
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
}

/// How an answer is to come.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Tokens that end the answer.
    pub ends: Vec<i64>,
    /// Texts that end it.
    pub stops: Vec<String>,
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
    /// Scores that leave no token.
    pub fn choose(&mut self, logits: &[f32]) -> Result<Choice> {
        let token = self.sampler.next(logits);
        Ok(Choice {
            token: token as i64,
            logprobs: self.logprobs.map(|best| LogProbs::of(logits, token, best)),
        })
    }

    /// Takes a token that was chosen.
    ///
    /// # Errors
    ///
    /// A `tokenizer.json` whose decoder fails.
    pub fn take(&mut self, token: i64) -> Result<Taken> {
        if self.ends.contains(&token) {
            return Ok(Taken::End);
        }
        let Some(stream) = &mut self.text else {
            return Ok(Taken::Text(String::new()));
        };
        let Shown { text, stopped } = self.stops.push(&stream.push(token)?);
        Ok(if stopped {
            Taken::Stopped(text)
        } else {
            Taken::Text(text)
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
