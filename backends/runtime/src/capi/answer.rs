//! An answer that a session generates, part by part.

use std::ffi::CStr;

use super::{
    callbacks::{CCandidate, CToken},
    outcome::Outcome,
};
use crate::{
    generation::{Choice, Continuation, LogProb, Taken},
    session::Session,
};

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    state: State,
    /// Tokens that may still come.
    left: usize,
    /// The token that was given last, if the session is to read it.
    unread: Option<i64>,
    part: Part,
}

#[derive(Debug)]
enum State {
    Running(Box<Continuation<'static>>),
    /// Text that was held back is given next.
    Ending {
        held: String,
        reason: &'static CStr,
    },
    Over,
}

/// What was given last, and is kept for the caller.
#[derive(Debug, Default)]
struct Part {
    token: i64,
    /// Ends with a zero.
    text: Vec<u8>,
    end: Option<&'static CStr>,
    logprob: f64,
    best: Vec<CCandidate>,
}

impl Part {
    fn new(token: i64, text: String, end: Option<&'static CStr>) -> Part {
        let mut text = text.into_bytes();
        text.push(0);
        Part {
            token,
            text,
            end,
            ..Part::default()
        }
    }

    /// For C, valid as long as this part.
    fn as_c(&self) -> CToken {
        CToken {
            size: size_of::<CToken>(),
            token: self.token,
            text: self.text.as_ptr().cast(),
            length: self.text.len() - 1,
            end: self.end.map_or(std::ptr::null(), CStr::as_ptr),
            logprob: self.logprob,
            candidates: self.best.len(),
            best: self.best.as_ptr(),
        }
    }
}

impl Answer {
    /// An answer of at most so many tokens.
    pub(super) fn new(continuation: Continuation<'static>, most: usize) -> Answer {
        Answer {
            state: State::Running(Box::new(continuation)),
            left: most,
            unread: None,
            part: Part::default(),
        }
    }

    /// A token that was given and has to be read.
    pub(super) fn unread(&self) -> Option<i64> {
        self.unread
    }

    /// The token counts as read.
    pub(super) fn take_unread(&mut self) -> Option<i64> {
        self.unread.take()
    }

    /// Whether the next part needs logits.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next part; `logits` are those after the last token, where there are any.
    pub(super) fn next(&mut self, session: &Session, logits: &[f32]) -> Outcome<CToken> {
        self.part = match std::mem::replace(&mut self.state, State::Over) {
            State::Running(continuation) => self.choose(continuation, session, logits)?,
            State::Ending { held, reason } => Part::new(-1, held, Some(reason)),
            State::Over => Part::new(-1, String::new(), Some(c"end")),
        };
        Ok(self.part.as_c())
    }

    fn choose(
        &mut self,
        mut continuation: Box<Continuation<'static>>,
        session: &Session,
        logits: &[f32],
    ) -> Outcome<Part> {
        let Choice { token, logprobs } = continuation.choose(logits)?;
        let ending = |continuation: Box<Continuation>, reason| {
            let rest = continuation.finish();
            State::Ending {
                held: rest.text + &rest.broken,
                reason,
            }
        };
        self.left -= 1;
        let (text, read) = match continuation.take(token)? {
            Taken::End => {
                let rest = continuation.finish();
                return Ok(Part::new(-1, rest.text + &rest.broken, Some(c"end")));
            }
            Taken::Text(text) => {
                let full = session.room() == 0;
                self.state = match (full, self.left) {
                    (true, _) => ending(continuation, c"context"),
                    (false, 0) => ending(continuation, c"length"),
                    (false, _) => State::Running(continuation),
                };
                (text, !full)
            }
            Taken::Complete(text) => {
                self.state = ending(continuation, c"end");
                (text, session.room() > 0)
            }
            Taken::Stopped(text) => {
                self.state = State::Ending {
                    held: String::new(),
                    reason: c"stop",
                };
                (text, false)
            }
        };
        self.unread = read.then_some(token);
        let mut part = Part::new(token, text, None);
        if let Some(logprobs) = logprobs {
            let candidate = |one: &LogProb| CCandidate {
                token: one.token as i64,
                logprob: f64::from(one.logprob),
            };
            part.logprob = f64::from(logprobs.chosen.logprob);
            part.best = logprobs.best.iter().map(candidate).collect();
        }
        Ok(part)
    }
}
