//! An answer as C gets it: part by part, each kept until the next one.

use std::ffi::CStr;

use super::{
    callbacks::{CCandidate, CToken},
    outcome::Outcome,
};
use crate::{
    answer::{Answer, Part},
    generation::{LogProb, Reason},
    session::Session,
};

/// An answer that C is given.
#[derive(Debug)]
pub(super) struct CAnswer {
    pub(super) answer: Answer<'static>,
    /// What was given last.
    given: Given,
}

/// A part, kept for the caller.
#[derive(Debug, Default)]
struct Given {
    part: Part,
    /// Ends with a zero.
    text: Vec<u8>,
    best: Vec<CCandidate>,
}

impl CAnswer {
    pub(super) fn new(answer: Answer<'static>) -> CAnswer {
        CAnswer {
            answer,
            given: Given::default(),
        }
    }

    /// The next part, valid as long as no other one is asked for.
    pub(super) fn next(&mut self, session: &mut Session<'static>) -> Outcome<CToken> {
        self.given = Given::new(self.answer.next(session)?);
        Ok(self.given.as_c())
    }
}

impl Given {
    fn new(part: Part) -> Given {
        let text = [part.rest.text.as_bytes(), part.rest.broken.as_bytes(), &[0]].concat();
        let candidate = |one: &LogProb| CCandidate {
            token: one.token as i64,
            logprob: f64::from(one.logprob),
        };
        let best = part.logprobs.iter().flat_map(|logprobs| &logprobs.best);
        Given {
            best: best.map(candidate).collect(),
            text,
            part,
        }
    }

    /// For C, valid as long as this part.
    fn as_c(&self) -> CToken {
        let logprobs = self.part.logprobs.as_ref();
        CToken {
            token: self.part.token.unwrap_or(-1),
            text: self.text.as_ptr().cast(),
            length: self.text.len() - 1,
            end: self.part.end.map_or(std::ptr::null(), |reason| name(reason).as_ptr()),
            logprob: logprobs.map_or(0.0, |logprobs| f64::from(logprobs.chosen.logprob)),
            candidates: self.best.len(),
            best: self.best.as_ptr(),
            ..CToken::NONE
        }
    }
}

/// Why an answer is over, for C.
fn name(reason: Reason) -> &'static CStr {
    match reason {
        Reason::Length => c"length",
        Reason::Context => c"context",
        Reason::End => c"end",
        Reason::Stop => c"stop",
    }
}
