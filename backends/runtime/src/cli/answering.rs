//! One answer in a session: tokens are chosen and shown while they come, with drafts where these are wanted.

use std::time::Instant;

use super::{
    bar::Bar,
    common::{self, milliseconds},
    console::Console,
    drafts::Drafts,
    prompt::Prompt,
};
use crate::{
    Error, Result, finite,
    generation::{Choice, Continuation, DraftTotals, LogProbs, Taken},
    session::{Cut, Session, Wanted},
};

/// Why no further token was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    /// As many as asked for.
    #[default]
    Length,
    /// A token that ends a text or a turn, or a grammar that admits nothing more.
    End,
    /// A text at which the user wants it to end.
    Text,
    /// The model admits no longer context.
    Context,
    /// The user interrupted it.
    Interrupted,
}

impl Stop {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stop::Length => "length",
            Stop::End => "end",
            Stop::Text => "text",
            Stop::Context => "context",
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
    /// The last tokens of the answer, which the session has not read.
    unread: Vec<i64>,
    pub(crate) milliseconds: f64,
    /// Steps of the model: the first token comes from the prompt's logits.
    pub(crate) steps: usize,
    /// Tokens chosen from the logits of these steps.
    pub(crate) chosen: usize,
    pub(crate) drafts: DraftTotals,
}

/// How an answer comes.
pub(crate) struct Answering<'a> {
    /// Place of the logits among the outputs.
    pub(crate) logits: usize,
    pub(crate) max_tokens: usize,
    pub(crate) cut: Cut,
    pub(crate) continuation: Continuation<'a>,
    pub(crate) drafts: Option<Drafts>,
    /// Whether the user has interrupted the answer.
    pub(crate) interrupted: fn() -> bool,
}

/// Shows what came of a token: the token and the characters that are certain with it.
type Show<'s> = &'s mut dyn FnMut(i64, &str, &mut Console) -> Result<()>;

impl Answering<'_> {
    /// Answers in a session that has read the prompt.
    pub(crate) fn answer(&mut self, session: &mut Session, show: Show, console: &mut Console) -> Result<Generated> {
        let from = Instant::now();
        let mut done = Generated::default();
        if self.max_tokens > 0 {
            let scores = scores(session, self.logits)?;
            let mut stop = self.choose(scores, &mut done, show, console)?;
            while stop.is_none() && done.tokens.len() < self.max_tokens {
                stop = match (self.interrupted)() {
                    true => Some(Stop::Interrupted),
                    false if session.room() < done.unread.len() as u64 => Some(Stop::Context),
                    false => self.step(session, &mut done, show, console)?,
                };
            }
            done.stop = stop.unwrap_or_default();
        }
        done.milliseconds = milliseconds(from);
        done.drafts = self.drafts.as_ref().map(Drafts::totals).unwrap_or_default();
        Ok(done)
    }

    /// Reads the prompt, whose tokens count for the penalty of repetitions as those do that were read before.
    pub(crate) fn read(&mut self, session: &mut Session, prompt: Prompt, console: &mut Console) -> Result<()> {
        let unread = prompt.tokens;
        self.continuation.read(session.tokens().unwrap_or_default());
        self.continuation.read(&unread);
        if unread.is_empty() && session.last(self.logits).is_none() && self.max_tokens > 0 {
            return Err(Error::input("the prompt is empty: there is no token to continue from"));
        }
        let before = session.position();
        let after = before.saturating_add(unread.len() as u64);
        let mut bar = Bar::new(unread.len(), console);
        if after <= before.saturating_add(session.room()) {
            common::warn_of_length(session.model().descriptor(), before, after, console);
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

    /// One step of the model, from which one token is chosen, or several where drafts are right.
    fn step(
        &mut self,
        session: &mut Session,
        done: &mut Generated,
        show: Show,
        console: &mut Console,
    ) -> Result<Option<Stop>> {
        let draft = self.draft(session, done)?;
        let unread = std::mem::take(&mut done.unread);
        let (before, read) = (session.position(), unread.len() + draft.len());
        common::warn_of_length(session.model().descriptor(), before, before + read as u64, console);
        done.steps += 1;
        if !draft.is_empty() {
            return self.verify(session, &[&unread[..], &draft].concat(), done, show, console);
        }
        session.feed(&common::tokens(unread), &self.cut, Wanted::Last, |_| Ok(()))?;
        done.chosen += 1;
        self.choose(scores(session, self.logits)?, done, show, console)
    }

    /// Tokens that may come next. Where tokens have to be read again, they are read first.
    fn draft(&mut self, session: &Session, done: &Generated) -> Result<Vec<i64>> {
        let Some(drafts) = self.drafts.as_mut().filter(|_| done.unread.len() == 1) else {
            return Ok(Vec::new());
        };
        let text = [session.tokens().unwrap_or_default(), &done.unread].concat();
        let chunk = session.model().descriptor().max_chunk;
        let room = usize::try_from(session.room()).unwrap_or(usize::MAX);
        let most = (chunk.min(room) - 1).min(self.max_tokens - done.tokens.len() - 1);
        drafts.draft(&text, most)
    }

    /// Reads the last token and a draft in one step, and keeps what the model chooses. What it does not choose is forgotten: at
    /// once, or with all tokens of the step, which are then read again with those that follow.
    fn verify(
        &mut self,
        session: &mut Session,
        tokens: &[i64],
        done: &mut Generated,
        show: Show,
        console: &mut Console,
    ) -> Result<Option<Stop>> {
        let base = session.position();
        let mark = (!session.cuts_anywhere()).then(|| session.mark()).transpose()?;
        let (logits, mut rows) = (self.logits, Vec::new());
        session.feed(
            &common::tokens(tokens.to_vec()),
            &Cut::default(),
            Wanted::All,
            |outputs| {
                rows.extend(outputs.floats(logits));
                Ok(())
            },
        )?;
        let vocab = rows.len() / tokens.len();
        let (mut certain, mut stop) = (0, None);
        for row in rows.chunks(vocab) {
            if finite::undecided(row) {
                return Err(no_token(session));
            }
            stop = self.choose(row, done, show, console)?;
            done.chosen += 1;
            certain += 1;
            if stop.is_some() || done.tokens.last() != tokens.get(certain) {
                break;
            }
        }
        if let Some(drafts) = &mut self.drafts {
            drafts.judge(tokens.len() - 1, certain - 1);
        }
        match mark {
            _ if certain == tokens.len() => {}
            None => session.truncate(base + certain as u64)?,
            Some(mark) => {
                session.return_to(mark);
                done.unread.splice(..0, tokens[..certain].iter().copied());
            }
        }
        Ok(stop)
    }

    /// Chooses the next token and shows what it says; whether the answer is over with it.
    fn choose(
        &mut self,
        scores: &[f32],
        done: &mut Generated,
        show: Show,
        console: &mut Console,
    ) -> Result<Option<Stop>> {
        done.unread.clear();
        let Choice { token, logprobs } = self.continuation.choose(scores)?;
        let (text, stop) = match self.continuation.take(token)? {
            Taken::End => return Ok(Some(Stop::End)),
            Taken::Text(text) => (text, None),
            Taken::Stopped(text) => (text, Some(Stop::Text)),
            Taken::Complete(text) => (text, Some(Stop::End)),
        };
        done.unread.push(token);
        done.tokens.push(token);
        done.logprobs.extend(logprobs);
        show(token, &text, console)?;
        Ok(stop)
    }
}

impl Generated {
    /// Reads what the session has not read of the answer, so that it has all of it and the outputs from which it goes on.
    pub(crate) fn complete(&mut self, session: &mut Session, logits: usize, console: &mut Console) -> Result<()> {
        let mut unread = std::mem::take(&mut self.unread);
        if unread.is_empty()
            && session.last(logits).is_none()
            && let Some(last) = session.tokens().and_then(|tokens| tokens.last().copied())
        {
            session.truncate(session.position() - 1)?;
            unread.push(last);
        }
        if unread.is_empty() {
            return Ok(());
        }
        if session.room() < unread.len() as u64 {
            console.warn("the context is full: the saved state lacks the end of the answer");
            unread.truncate(session.room() as usize);
        }
        session.feed(&common::tokens(unread), &Cut::default(), Wanted::Last, |_| Ok(()))
    }
}

/// The logits after the last token, from which a token can be chosen.
pub(crate) fn scores<'s>(session: &'s Session, logits: usize) -> Result<&'s [f32]> {
    let scores = session.last(logits).unwrap_or_default();
    match finite::undecided(scores) {
        true => Err(no_token(session)),
        false => Ok(scores),
    }
}

/// Why no token can be chosen after what was read.
fn no_token(session: &Session) -> Error {
    let read = common::tokens(session.tokens().unwrap_or_default().to_vec());
    let fault = finite::trace_in(Session::new(session.model()), [read]);
    Error::input(finite::no_token(session.position(), fault))
}
