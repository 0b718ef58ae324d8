//! Where requests are handed in, from any thread: checked first, and refused when too many wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant},
};

use seqc_abi::Descriptor;

use super::{
    accepted::{Accepted, Message},
    gauges::Gauges,
    queue::Queue,
    request::{Generation, Goal, Request},
    settings::Settings,
};
use crate::{
    Error,
    generation::{Sampler, StopTexts},
    inputs::{Values, check_ids},
    speculation::Wake,
    streams::{self, width},
};

/// Hands requests to an engine.
#[derive(Clone, Debug)]
pub struct Handle {
    messages: Sender<Message>,
    pub(super) shared: Arc<Shared>,
}

/// What an engine and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) gauges: Gauges,
    closing: AtomicBool,
    descriptor: Descriptor,
    has_text: bool,
    /// Tokens of a sequence.
    context: usize,
    queue: Queue,
    timeout: Option<Duration>,
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is wrong.
    #[error(transparent)]
    Wrong(Error),
    /// The prompt leaves no room for an answer.
    #[error("the prompt of {tokens} tokens is too long: a sequence has at most {context}")]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// The most that there may be.
        context: usize,
    },
    /// Too many requests wait.
    #[error("too many requests wait: try again later")]
    Busy,
    /// The engine takes no further requests.
    #[error("the server is about to end")]
    Closing,
}

impl Handle {
    /// The handle of an engine, and where its requests arrive.
    pub(super) fn new(descriptor: &Descriptor, has_text: bool, settings: &Settings) -> (Handle, Receiver<Message>) {
        let (messages, arriving) = mpsc::channel();
        let limits = [settings.context, descriptor.max_context];
        let looks_ahead = (!descriptor.causal).then_some(descriptor.max_chunk);
        let context = limits.into_iter().chain([looks_ahead]).flatten().min();
        let shared = Shared {
            gauges: Gauges::default(),
            closing: AtomicBool::new(false),
            descriptor: descriptor.clone(),
            has_text,
            context: context.unwrap_or(usize::MAX),
            queue: Queue::new(settings.queue),
            timeout: settings.timeout,
        };
        let handle = Handle {
            messages,
            shared: Arc::new(shared),
        };
        (handle, arriving)
    }

    /// Hands in a request; its listener is told what becomes of it.
    ///
    /// # Errors
    ///
    /// A request that is wrong, too long, one too many, or too late.
    pub fn submit(&self, request: Request) -> Result<(), Refusal> {
        self.check(&request)?;
        if self.is_closing() {
            return Err(Refusal::Closing);
        }
        let (gauges, samples) = (self.gauges(), request.samples());
        if !self.queue().enter(request.client, samples, gauges) {
            gauges.refused.fetch_add(1, Relaxed);
            return Err(Refusal::Busy);
        }
        gauges.requests.fetch_add(1, Relaxed);
        let until = self.shared.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let accepted = Box::new(Accepted { request, until });
        let sent = self.messages.send(Message::Request(accepted));
        sent.map_err(|_| Refusal::Closing)
    }

    /// Takes no further requests; the engine ends when all answers are over.
    pub fn close(&self) {
        self.shared.closing.store(true, Relaxed);
        // An engine that is gone has ended.
        let _ = self.messages.send(Message::Close);
    }

    /// Wakes the engine when a draft has come.
    pub(super) fn waker(&self) -> Wake {
        let messages = self.messages.clone();
        // An engine that is gone needs no drafts.
        Wake(Box::new(move || drop(messages.send(Message::Drafted))))
    }

    /// Whether no further requests are taken.
    pub fn is_closing(&self) -> bool {
        self.shared.closing.load(Relaxed)
    }

    /// How the engine is doing.
    pub fn gauges(&self) -> &Gauges {
        &self.shared.gauges
    }

    /// Who waits.
    pub(super) fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// The most tokens of a sequence.
    pub fn context(&self) -> usize {
        self.shared.context
    }

    /// What the model is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.shared.descriptor
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let wrong = |message: &str| Err(Refusal::Wrong(Error::input(message)));
        let (tokens, descriptor) = (request.tokens.len(), self.descriptor());
        if tokens == 0 {
            return wrong("the prompt is empty: there is no token to continue from");
        }
        if tokens > self.context() {
            let context = self.context();
            return Err(Refusal::TooLong { tokens, context });
        }
        let (samples, most) = (request.samples(), self.queue().most());
        if samples > most {
            let message = format!("{samples} answers are more than the queue of this server holds, which is {most}");
            return wrong(&message);
        }
        // Ids are checked as the streams of a session are.
        check_ids(descriptor, &[Values::I64(request.tokens.clone())]).map_err(Refusal::Wrong)?;
        if let Some(start) = &request.start
            && (start.sequence.position() > tokens as u64
                || (start.sequence.position() == tokens as u64) != start.logits.is_some())
        {
            return wrong("the sequence to start from has read more than the prompt, or all of it without logits");
        }
        match &request.goal {
            Goal::Generate(generation) => self.check_generation(generation).map_err(Refusal::Wrong),
            Goal::Embed(_) if !descriptor.outputs.iter().any(streams::is_vector) => {
                wrong("the model has no output of vectors")
            }
            Goal::Embed(_) => Ok(()),
        }
    }

    fn check_generation(&self, generation: &Generation) -> crate::Result<()> {
        let descriptor = self.descriptor();
        let logits = streams::logits(descriptor)?;
        Sampler::new(generation.sampling.clone(), width(&descriptor.outputs[logits]))?;
        let stops = StopTexts::new(generation.stops.clone())?;
        if generation.samples == 0 || generation.max_tokens == 0 {
            return Err(Error::input("at least one token of one sample must be wanted"));
        }
        if !stops.is_empty() && !self.shared.has_text {
            return Err(Error::input("stop texts need a tokenizer"));
        }
        Ok(())
    }
}
