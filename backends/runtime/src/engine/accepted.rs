//! Requests on their way from a handle to the engine, and the answers that they become.

use std::{sync::Arc, time::Instant};

use super::{
    outbox::Outbox,
    request::{Client, Goal, Request},
};
use crate::prefix::Start;

/// What comes through the channel.
#[derive(Debug)]
pub(super) enum Message {
    Request(Box<Accepted>),
    /// A draft has come for some answer.
    Drafted,
    Close,
}

/// A request that will be answered.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) request: Request,
    pub(super) until: Option<Instant>,
}

/// One answer that waits for its place.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tokens: Vec<i64>,
    pub(super) goal: Goal,
    pub(super) start: Option<Arc<Start>>,
    pub(super) client: Client,
    pub(super) outbox: Outbox,
}

impl Accepted {
    /// Its answers, each by itself.
    pub(super) fn samples(self) -> impl Iterator<Item = Waiting> {
        let Accepted { request, until } = self;
        (0..request.samples()).map(move |sample| {
            let mut goal = request.goal.clone();
            if let Goal::Generate(generation) = &mut goal {
                generation.sampling.seed = generation.sampling.seed.wrapping_add(sample as u64);
            }
            Waiting {
                tokens: request.tokens.clone(),
                goal,
                start: request.start.clone(),
                client: request.client,
                outbox: Outbox::new(Arc::clone(&request.listener), request.index + sample, until),
            }
        })
    }
}
