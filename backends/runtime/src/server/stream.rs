//! Answers as server-sent events, each written when it is asked for.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::{
    format::{Choice, Format, Part, Told, Usage},
    problem::Problem,
};
use crate::engine::Event;

/// After the last event.
const DONE: &str = "data: [DONE]\n\n";

/// The events of one response.
#[derive(Debug)]
pub(super) struct Stream {
    format: Format,
    events: Receiver<Event>,
    /// The one that was waited for before the response began.
    first: Option<Event>,
    answers: Vec<Progress>,
    /// Where usage is told at the end.
    usage: Option<Usage>,
    over: bool,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    begun: bool,
    /// Characters so far.
    offset: usize,
    over: bool,
}

impl Stream {
    /// A response with so many answers.
    pub(super) fn new(format: Format, events: Receiver<Event>, first: Option<Event>, answers: usize) -> Stream {
        Stream {
            format,
            events,
            first,
            answers: vec![Progress::default(); answers],
            usage: None,
            over: false,
        }
    }

    /// The same that tells usage at its end.
    pub(super) fn with_usage(self, usage: Option<Usage>) -> Stream {
        Stream { usage, ..self }
    }

    /// The next bytes; `None` at the end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.over {
            let event = match self.first.take() {
                None => ready!(self.events.poll_recv(cx)),
                first => first,
            };
            let text = match event {
                Some(event) => self.write(event),
                None => self.end(),
            };
            let text = text.unwrap_or_else(|problem| self.fail(&problem));
            if !text.is_empty() {
                return Poll::Ready(Some(text.into()));
            }
        }
        Poll::Ready(None)
    }

    fn write(&mut self, event: Event) -> Result<String, Problem> {
        match event {
            Event::Token {
                index,
                token,
                text,
                logprobs,
            } => {
                let offset = self.answers[index].offset;
                let told = logprobs.map(|logprobs| Told { offset, logprobs });
                self.part(
                    index,
                    Choice {
                        text,
                        tokens: vec![token],
                        told: told.into_iter().collect(),
                        reason: None,
                    },
                )
            }
            Event::End {
                index,
                reason,
                text,
                totals,
            } => {
                if let Some(usage) = &mut self.usage {
                    usage.generated += totals.generated;
                }
                self.answers[index].over = true;
                let rest = match text.is_empty() {
                    true => String::new(),
                    false => self.part(
                        index,
                        Choice {
                            text,
                            ..Choice::default()
                        },
                    )?,
                };
                let reason = Some(reason);
                Ok(rest
                    + &self.part(
                        index,
                        Choice {
                            reason,
                            ..Choice::default()
                        },
                    )?)
            }
            Event::Failed { failure, .. } => Err(failure.into()),
            Event::Vector { .. } => Ok(String::new()),
        }
    }

    fn part(&mut self, index: usize, choice: Choice) -> Result<String, Problem> {
        let progress = &mut self.answers[index];
        let first = !std::mem::replace(&mut progress.begun, true);
        progress.offset += choice.text.chars().count();
        let part = Part { index, first, choice };
        Ok(data(&self.format.part(&part, self.usage.is_some())?))
    }

    /// All events have come.
    fn end(&mut self) -> Result<String, Problem> {
        if self.answers.iter().any(|answer| !answer.over) {
            return Err(Problem::ended());
        }
        self.over = true;
        let usage = self.usage.map(|usage| data(&self.format.usage(usage)));
        Ok(usage.unwrap_or_default() + DONE)
    }

    fn fail(&mut self, problem: &Problem) -> String {
        self.over = true;
        data(&problem.as_json())
    }
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}
