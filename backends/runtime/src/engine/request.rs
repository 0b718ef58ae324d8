//! What an engine is asked for, and what it tells those who listen.

use std::{net::IpAddr, sync::Arc};

use crate::{
    generation::{Constraint, LogProbs, Reason, SamplingOptions},
    pooling::Pooling,
    prefix::Start,
};

/// Who asks, as far as those who wait for places take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client(u128);

impl From<IpAddr> for Client {
    /// Whoever has this address: of IPv6 the first 64 bits, of which one client has all.
    fn from(address: IpAddr) -> Client {
        Client(match address.to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() | u128::from(u64::MAX),
        })
    }
}

/// A request. All its samples have the same prompt.
#[derive(Debug)]
pub struct Request {
    /// The prompt, at least one token.
    pub tokens: Vec<i64>,
    /// What is wanted of it.
    pub goal: Goal,
    /// The number of the first answer in events; further samples count on.
    pub index: usize,
    /// A sequence that has read the first tokens of the prompt, as many as its position says: not all, or it brings the logits of
    /// the last one. Every sample goes on from a fork of it.
    pub start: Option<Arc<Start>>,
    /// Who asks.
    pub client: Client,
    /// Who is told.
    pub listener: Arc<dyn Listener>,
}

impl Request {
    /// Answers that it has.
    pub(super) fn samples(&self) -> usize {
        match &self.goal {
            Goal::Generate(generation) => generation.samples,
            Goal::Embed(_) => 1,
        }
    }
}

/// What is wanted of a prompt.
#[derive(Clone, Debug)]
pub enum Goal {
    /// Its continuation.
    Generate(Box<Generation>),
    /// One vector that stands for it, of length 1.
    Embed(Pooling),
}

/// How a prompt is continued.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// How tokens are chosen. The second sample has the next seed, and so on.
    pub sampling: SamplingOptions,
    /// Tokens that end an answer.
    pub ends: Vec<i64>,
    /// Texts that end it.
    pub stops: Vec<String>,
    /// The grammar that it follows.
    pub constraint: Option<Constraint>,
    /// Log probabilities of every token, and of so many most likely ones.
    pub logprobs: Option<usize>,
    /// The most tokens of an answer.
    pub max_tokens: usize,
    /// Answers, at least one.
    pub samples: usize,
}

/// What happens to an answer.
#[derive(Debug)]
pub enum Event {
    /// One more token.
    Token {
        /// Which answer.
        index: usize,
        /// The token.
        token: i64,
        /// The characters that are certain with it.
        text: String,
        /// What the model thought of it, where that was asked for.
        logprobs: Option<LogProbs>,
    },
    /// The answer is over.
    End {
        /// Which answer.
        index: usize,
        /// Why.
        reason: Reason,
        /// Characters that were held back.
        text: String,
        /// Tokens that were read and made for it.
        totals: Totals,
    },
    /// The vector that stands for the prompt.
    Vector {
        /// Which answer.
        index: usize,
        /// Its entries.
        values: Vec<f32>,
        /// Tokens that were read for it.
        totals: Totals,
    },
    /// There will be no further event of this answer.
    Failed {
        /// Which answer.
        index: usize,
        /// Why.
        failure: Failure,
    },
}

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens that were generated; one that ends the answer without being part of it counts.
    pub generated: usize,
}

/// Why an answer is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of reason.
    pub kind: FailureKind,
    /// The reason.
    pub message: String,
}

/// Kinds of reasons for which answers are not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It took too long.
    Timeout,
    /// The request is wrong, which only shows in the course of the answer.
    Wrong,
    /// Too little memory, or scores that choose no token.
    Failed,
}

/// What became of an event.
#[derive(Debug)]
pub enum Delivery {
    /// It was taken.
    Taken,
    /// There is no room for it now.
    Full(Event),
    /// Nobody listens any more.
    Gone,
}

/// Who is told what happens to answers. No method waits.
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// Hands over an event.
    fn send(&self, event: Event) -> Delivery;

    /// Whether nobody listens any more.
    fn is_gone(&self) -> bool;
}
