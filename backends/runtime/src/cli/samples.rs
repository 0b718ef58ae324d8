//! Several answers to one prompt: forks of the session that read it, decoded in one batch.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{
    answering::{Generated, Stop},
    common::milliseconds,
    setup::Setup,
};
use crate::{
    Error, Result,
    answer::no_token,
    engine::{Client, Delivery, Engine, Event, Generation, Goal, Listener, Request, Settings},
    finite,
    prefix::Start,
    session::Session,
    speculation::DraftTotals,
};

/// Answers that are decoded at once.
const MOST_AT_ONCE: usize = 64;

/// An answer with its text.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    pub(crate) generated: Generated,
    pub(crate) text: String,
}

/// So many answers to what a session has read. The first one is that of the session alone, the next ones have the next seeds.
pub(crate) fn sample(
    session: &Session,
    setup: &Setup,
    samples: usize,
    logprobs: Option<usize>,
) -> Result<Vec<Answered>> {
    let from = Instant::now();
    let heard = Arc::new(Heard::of(samples));
    if setup.words.max_tokens == 0 {
        return heard.answers();
    }
    let logits = session.last(setup.logits).unwrap_or_default();
    if finite::undecided(logits) {
        return Err(no_token(session));
    }
    let settings = Settings {
        sequences: samples.min(MOST_AT_ONCE),
        queue: samples,
        context: None,
        prompt_rows: samples,
        cache_bytes: 0,
        snapshot_tokens: 1,
        drafting: setup.drafting.clone(),
        timeout: None,
    };
    let generation = Generation {
        sampling: setup.options.clone(),
        ends: setup.ends.clone(),
        stops: setup.words.stop.clone(),
        constraint: setup.constraint.clone(),
        logprobs,
        max_tokens: setup.words.max_tokens,
        samples,
    };
    let mut engine = Engine::new(session.model(), setup.tokenizer.as_ref(), settings)?;
    let handle = engine.handle();
    let request = Request {
        tokens: session.tokens().unwrap_or_default().to_vec(),
        goal: Goal::Generate(Box::new(generation)),
        index: 0,
        start: Some(Arc::new(Start {
            sequence: session.fork_sequence()?,
            logits: Some(logits.to_vec()),
        })),
        client: Client::default(),
        listener: Arc::clone(&heard) as Arc<dyn Listener>,
    };
    handle
        .submit(request)
        .map_err(|refusal| Error::input(refusal.to_string()))?;
    handle.close();
    engine.run();
    let mut answers = heard.answers()?;
    let gauges = handle.gauges();
    let number = |gauge: &std::sync::atomic::AtomicU64| gauge.load(std::sync::atomic::Ordering::Relaxed);
    if let Some(first) = answers.first_mut() {
        // Those of all answers together.
        first.generated.milliseconds = milliseconds(from);
        first.generated.work.steps = number(&gauges.steps) as usize;
        first.generated.work.chosen = (number(&gauges.generated_tokens) as usize).saturating_sub(samples);
        first.generated.drafts = DraftTotals {
            drafted: number(&gauges.drafted_tokens),
            accepted: number(&gauges.accepted_tokens),
        };
    }
    Ok(answers)
}

/// What the engine told of the answers.
#[derive(Debug)]
struct Heard(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    all: Vec<Answered>,
    failed: Option<String>,
}

impl Heard {
    fn of(samples: usize) -> Heard {
        Heard(Mutex::new(Answers {
            all: (0..samples).map(|_| Answered::default()).collect(),
            failed: None,
        }))
    }

    fn answers(&self) -> Result<Vec<Answered>> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.failed.take() {
            Some(why) => Err(Error::input(why)),
            None => Ok(std::mem::take(&mut heard.all)),
        }
    }
}

impl Listener for Heard {
    fn send(&self, event: Event) -> Delivery {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Token {
                index,
                token,
                text,
                logprobs,
            } => {
                let answer = &mut heard.all[index];
                answer.text.push_str(&text);
                answer.generated.tokens.push(token);
                answer.generated.logprobs.extend(logprobs);
            }
            Event::End {
                index, reason, text, ..
            } => {
                let answer = &mut heard.all[index];
                answer.text.push_str(&text);
                answer.generated.stop = Stop::Over(reason);
            }
            Event::Failed { failure, .. } => heard.failed = Some(failure.message),
            // Nobody asked for vectors.
            Event::Vector { .. } => {}
        }
        Delivery::Taken
    }

    fn is_gone(&self) -> bool {
        false
    }
}
