//! An answer that a session generates, part by part, with drafts where these are wanted.

use std::{collections::VecDeque, ffi::CStr};

use super::{
    callbacks::{CCallbacks, CCandidate, CToken},
    outcome::Outcome,
    reading::{self, Reading},
};
use crate::{
    Error, finite,
    generation::{Choice, Continuation, LogProb, Speculation, Taken},
    inputs::Values,
    session::{Cut, Mark, Session, Wanted},
};

/// An answer. The session may have read more of it than was given, or less: [`Answer::settle`].
#[derive(Debug)]
pub(super) struct Answer {
    state: State,
    /// Place of the logits among the outputs.
    logits: usize,
    /// Tokens that may still be chosen.
    left: usize,
    speculation: Option<Speculation>,
    /// Where the answer begins.
    start: u64,
    /// Tokens that were given and are to be read.
    given: Vec<i64>,
    /// Parts that were chosen and not given.
    coming: VecDeque<Part>,
    /// Where the session was before it read a draft of which not all was given.
    mark: Option<Mark>,
    /// What was given last.
    part: Part,
}

#[derive(Debug)]
enum State {
    Running(Box<Continuation<'static>>),
    /// Text that was held back is given last.
    Ending {
        held: String,
        reason: &'static CStr,
    },
    Over,
}

/// A part, kept for the caller.
#[derive(Debug, Default)]
struct Part {
    token: i64,
    /// Whether the session is to read the token.
    read: bool,
    /// Ends with a zero.
    text: Vec<u8>,
    end: Option<&'static CStr>,
    logprob: f64,
    best: Vec<CCandidate>,
}

impl Part {
    fn new(token: i64, text: String) -> Part {
        let mut text = text.into_bytes();
        text.push(0);
        Part {
            token,
            text,
            ..Part::default()
        }
    }

    fn last(text: String, reason: &'static CStr) -> Part {
        Part {
            end: Some(reason),
            ..Part::new(-1, text)
        }
    }

    /// For C, valid as long as this part.
    fn as_c(&self) -> CToken {
        CToken {
            token: self.token,
            text: self.text.as_ptr().cast(),
            length: self.text.len() - 1,
            end: self.end.map_or(std::ptr::null(), CStr::as_ptr),
            logprob: self.logprob,
            candidates: self.best.len(),
            best: self.best.as_ptr(),
            ..CToken::NONE
        }
    }
}

/// How an answer comes.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) continuation: Continuation<'static>,
    pub(super) most: usize,
    /// Place of the logits among the outputs.
    pub(super) logits: usize,
    pub(super) speculation: Option<Speculation>,
}

impl Answer {
    /// An answer to what a session has read.
    pub(super) fn new(session: &Session, wish: Wish) -> Answer {
        Answer {
            state: State::Running(Box::new(wish.continuation)),
            logits: wish.logits,
            left: wish.most,
            speculation: wish.speculation,
            start: session.position(),
            given: Vec::new(),
            coming: VecDeque::new(),
            mark: None,
            part: Part::default(),
        }
    }

    /// Tokens that were given and are to be read.
    pub(super) fn given(&self) -> &[i64] {
        &self.given
    }

    /// Where the answer begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.coming.is_empty() && matches!(self.state, State::Over)
    }

    /// What the session has to read before the next part, if that is not there yet.
    pub(super) fn wants(&self, session: &Session) -> Vec<i64> {
        let runs = self.coming.is_empty() && matches!(self.state, State::Running(_));
        if runs { self.unread(session) } else { Vec::new() }
    }

    /// The next part. After an error there is none.
    pub(super) fn next(&mut self, session: &mut Session<'static>) -> Outcome<CToken> {
        if self.coming.is_empty()
            && let Err(fault) = self.fill(session)
        {
            self.coming.clear();
            self.state = State::Over;
            return Err(fault);
        }
        self.part = self.coming.pop_front().unwrap_or_default();
        if self.part.read {
            self.given.push(self.part.token);
        }
        if self.coming.is_empty() {
            self.mark = None;
        }
        Ok(self.part.as_c())
    }

    /// Ends the answer: the session has read what was given of it afterwards.
    pub(super) fn settle(mut self, session: &mut Session<'static>) -> Outcome<()> {
        let end = self.start + self.given.len() as u64;
        if session.position() > end
            && let Some(mark) = self.mark.take()
        {
            session.return_to(mark);
        }
        let unread = self.unread(session);
        read(session, unread)
    }

    /// What was given and the session has not read.
    fn unread(&self, session: &Session) -> Vec<i64> {
        let read = session.position().saturating_sub(self.start) as usize;
        self.given.get(read..).unwrap_or_default().to_vec()
    }

    /// Makes one part or several.
    fn fill(&mut self, session: &mut Session<'static>) -> Outcome<()> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ending { held, reason } => self.coming.push_back(Part::last(held, reason)),
            State::Over => return Err(Error::input("no answer is being generated").into()),
            State::Running(continuation) => {
                self.state = State::Running(continuation);
                self.step(session)?;
            }
        }
        Ok(())
    }

    /// Chooses a token from the logits after what was given, or several where a draft is right.
    fn step(&mut self, session: &mut Session<'static>) -> Outcome<()> {
        let unread = self.unread(session);
        let draft = self.draft(session, &unread);
        if !draft.is_empty() {
            return self.verify(session, &[&unread[..], &draft].concat());
        }
        read(session, unread)?;
        let logits = session.last(self.logits).unwrap_or_default().to_vec();
        self.choose(&logits, session.room())
    }

    /// Tokens that may come next. Where tokens have to be read again, they are read first.
    fn draft(&self, session: &Session, unread: &[i64]) -> Vec<i64> {
        let Some(speculation) = self.speculation.as_ref().filter(|_| unread.len() == 1) else {
            return Vec::new();
        };
        let text = [session.tokens().unwrap_or_default(), unread].concat();
        let room = usize::try_from(session.room()).unwrap_or(usize::MAX);
        let chunk = session.model().descriptor().max_chunk;
        let most = chunk.min(room).saturating_sub(1);
        speculation.draft(&text, most.min(self.left.saturating_sub(1)))
    }

    /// Reads the last token and a draft in one step, and keeps what the model chooses.
    fn verify(&mut self, session: &mut Session<'static>, tokens: &[i64]) -> Outcome<()> {
        let (mark, room, output) = (session.mark()?, session.room(), self.logits);
        let (inputs, mut rows) = ([Values::I64(tokens.to_vec())], Vec::new());
        session.feed(&inputs, &Cut::default(), Wanted::All, |outputs| {
            rows.extend(outputs.floats(output));
            Ok(())
        })?;
        // Should the choice fail, the session goes back to what was given.
        self.mark = Some(mark);
        let mut certain = 0;
        for row in rows.chunks((rows.len() / tokens.len()).max(1)) {
            certain += 1;
            self.choose(row, room - certain as u64)?;
            let next = self.coming.back().map(|part| part.token);
            if !matches!(self.state, State::Running(_)) || next != tokens.get(certain).copied() {
                break;
            }
        }
        if let Some(speculation) = &mut self.speculation {
            speculation.judge(tokens.len() - 1, certain - 1);
        }
        if certain < tokens.len() {
            let end = session.position() - (tokens.len() - certain) as u64;
            match session.cuts_anywhere() {
                true => session.truncate(end)?,
                // All tokens of the step are read again, with those that follow.
                false => self.mark.take().into_iter().for_each(|mark| session.return_to(mark)),
            }
        }
        Ok(())
    }

    /// Chooses the next token, of which `room` more can be read.
    fn choose(&mut self, logits: &[f32], room: u64) -> Outcome<()> {
        if finite::undecided(logits) {
            return Err(Error::input("the logits are not finite, so that no token can be chosen").into());
        }
        let State::Running(mut continuation) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let Choice { token, logprobs } = continuation.choose(logits)?;
        let taken = continuation.take(token)?;
        self.left -= 1;
        let (text, reason) = match taken {
            Taken::End => {
                self.coming.push_back(Part::last(rest(*continuation), c"end"));
                return Ok(());
            }
            Taken::Text(text) if room == 0 => (text, Some(c"context")),
            Taken::Text(text) if self.left == 0 => (text, Some(c"length")),
            Taken::Text(text) => (text, None),
            Taken::Complete(text) => (text, Some(c"end")),
            Taken::Stopped(text) => (text, Some(c"stop")),
        };
        let read = room > 0 && reason != Some(c"stop");
        self.state = match reason {
            None => State::Running(continuation),
            Some(reason) => State::Ending {
                held: if reason == c"stop" {
                    String::new()
                } else {
                    rest(*continuation)
                },
                reason,
            },
        };
        let mut part = Part {
            read,
            ..Part::new(token, text)
        };
        if let Some(logprobs) = logprobs {
            let candidate = |one: &LogProb| CCandidate {
                token: one.token as i64,
                logprob: f64::from(one.logprob),
            };
            part.logprob = f64::from(logprobs.chosen.logprob);
            part.best = logprobs.best.iter().map(candidate).collect();
        }
        self.coming.push_back(part);
        Ok(())
    }
}

/// Text that was held back.
fn rest(continuation: Continuation) -> String {
    let rest = continuation.finish();
    rest.text + &rest.broken
}

/// Reads tokens of an answer.
fn read(session: &mut Session<'static>, tokens: Vec<i64>) -> Outcome<()> {
    if tokens.is_empty() {
        return Ok(());
    }
    let reading = Reading {
        session,
        inputs: &[Values::I64(tokens)],
        wanted: Wanted::Last,
        places: Vec::new(),
    };
    reading::read(vec![reading], &CCallbacks::NONE)
}
