//! One answer in a session, shown while it comes.

use std::time::Instant;

use super::{
    bar::Bar,
    common::{self, milliseconds},
    console::Console,
    prompt::Prompt,
};
use crate::{
    Error, Result,
    answer::{Answer, Steps, Wish},
    generation::{LogProbs, Reason, Rest},
    session::{Cut, Session, Wanted},
    speculation::DraftTotals,
};

/// Why no further token was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The answer is over.
    Over(Reason),
    /// The user interrupted it.
    Interrupted,
}

impl Default for Stop {
    /// Of an answer of no tokens.
    fn default() -> Stop {
        Stop::Over(Reason::Length)
    }
}

impl Stop {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stop::Over(Reason::Length) => "length",
            Stop::Over(Reason::End) => "end",
            Stop::Over(Reason::Stop) => "text",
            Stop::Over(Reason::Context) => "context",
            Stop::Interrupted => "interrupted",
        }
    }
}

/// What was generated, and how long it took in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Generated {
    pub(crate) tokens: Vec<i64>,
    /// What the model thought of each, where that was asked for.
    pub(crate) logprobs: Vec<LogProbs>,
    pub(crate) stop: Stop,
    /// Text that was held back.
    pub(crate) rest: Rest,
    pub(crate) milliseconds: f64,
    pub(crate) work: Steps,
    pub(crate) drafts: DraftTotals,
}

/// How an answer comes.
pub(crate) struct Answering<'a> {
    pub(crate) wish: Wish<'a>,
    pub(crate) cut: Cut,
    /// Whether the session has read all of the answer afterwards, and has the outputs from which it goes on.
    pub(crate) keeps: bool,
    /// Whether the user has interrupted the answer.
    pub(crate) interrupted: fn() -> bool,
}

/// Shows what came of a token: the token and the characters that are certain with it.
type Show<'s> = &'s mut dyn FnMut(i64, &str, &mut Console) -> Result<()>;

impl Answering<'_> {
    /// Reads the prompt, whose tokens count for the penalty of repetitions as those do that were read before.
    pub(crate) fn read(&mut self, session: &mut Session, prompt: Prompt, console: &mut Console) -> Result<()> {
        let unread = prompt.tokens;
        self.wish.continuation.read(session.tokens().unwrap_or_default());
        self.wish.continuation.read(&unread);
        if unread.is_empty() && session.last(self.wish.logits).is_none() && self.wish.max_tokens > 0 {
            let why = match session.position() {
                0 => "there is no token to continue from",
                _ => "what was read before ends where no scores are kept; give the next token",
            };
            return Err(Error::input(format!("the prompt is empty: {why}")));
        }
        let before = session.position();
        let after = before.saturating_add(unread.len() as u64);
        let mut bar = Bar::new(unread.len(), console);
        if after <= before.saturating_add(session.room()) {
            common::warn_of_length(session.model().descriptor(), before, after, console);
        }
        // A text that ends inside a character goes on.
        if prompt.rest.is_empty() && !unread.is_empty() {
            session.end_prompt(unread.len() as u64);
        }
        let interrupted = self.interrupted;
        let read = session.feed(&common::tokens(unread), &self.cut, Wanted::Last, |outputs| {
            bar.add(outputs.tokens());
            match interrupted() {
                true => Err(Error::input("interrupted")),
                false => Ok(()),
            }
        });
        bar.end();
        read?;
        session.keep_bytes(prompt.rest);
        if let Some(conversation) = prompt.conversation {
            session.converse(conversation);
        }
        Ok(())
    }

    /// Answers in a session that has read the prompt.
    pub(crate) fn answer(self, session: &mut Session, show: Show, console: &mut Console) -> Result<Generated> {
        let (from, logits) = (Instant::now(), self.wish.logits);
        let mut done = Generated::default();
        let mut over = self.wish.max_tokens == 0;
        if session.history().bytes.is_empty() {
            session.begin_answer();
        }
        let mut answer = Answer::new(session, self.wish);
        while !over {
            if (self.interrupted)() && answer.takes_step() && !done.tokens.is_empty() {
                (done.rest, done.stop) = (answer.stop(), Stop::Interrupted);
                break;
            }
            let part = answer.next(session)?;
            if let Some(reason) = part.end {
                (done.rest, done.stop) = (part.rest, Stop::Over(reason));
                over = true;
                continue;
            }
            let before = answer.start() + done.tokens.len() as u64;
            common::warn_of_length(session.model().descriptor(), before, before + 1, console);
            done.logprobs.extend(part.logprobs);
            if let Some(token) = part.token {
                done.tokens.push(token);
                show(token, &part.rest.text, console)?;
            }
        }
        done.milliseconds = milliseconds(from);
        (done.work, done.drafts) = (answer.work(), answer.drafts());
        if self.keeps {
            let unread = done.tokens[answer.given().len()..].to_vec();
            answer.settle(session)?;
            complete(session, unread, logits, console)?;
        }
        Ok(done)
    }
}

/// Reads the end of an answer, so that the session has all of it and the outputs from which it goes on.
fn complete(session: &mut Session, mut unread: Vec<i64>, logits: usize, console: &mut Console) -> Result<()> {
    if session.room() < unread.len() as u64 {
        console.warn("the context is full: the saved state lacks the end of the answer");
        unread.truncate(session.room() as usize);
    }
    if unread.is_empty()
        && session.last(logits).is_none()
        && let Some(last) = session.tokens().and_then(|tokens| tokens.last().copied())
    {
        session.truncate(session.position() - 1)?;
        unread.push(last);
    }
    match unread.is_empty() {
        true => Ok(()),
        false => session.feed(&common::tokens(unread), &Cut::default(), Wanted::Last, |_| Ok(())),
    }
}
