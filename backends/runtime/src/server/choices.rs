//! Answers to prompts: handed to the engine, and collected or streamed.

use std::sync::Arc;

use hyper::{Response, StatusCode};
use tokio::sync::mpsc::Receiver;

use super::{
    body::{self, Body},
    format::{Choice, Format, Told, Usage},
    listener::channel,
    problem::Problem,
    site::Site,
    stream::Stream,
    streaming::Streaming,
};
use crate::{
    engine::{Client, Event, Generation, Goal, Request},
    generation::Grammar,
};

/// What a request asks for, in tokens.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) prompts: Vec<Vec<i64>>,
    pub(super) generation: Generation,
    /// The grammar that answers follow, which is not built yet.
    pub(super) grammar: Option<Grammar>,
    pub(super) format: Format,
    pub(super) streaming: Streaming,
}

impl Asked {
    fn usage(&self) -> Usage {
        Usage {
            prompt: self.prompts.iter().map(Vec::len).sum(),
            generated: 0,
        }
    }

    fn answers(&self) -> usize {
        self.prompts.len() * self.generation.samples
    }

    /// Hands all prompts to the engine. Should one be refused, nobody listens to the others.
    fn submit(&mut self, site: &Site, client: Client) -> Result<Receiver<Event>, Problem> {
        let (listener, events) = channel();
        let samples = self.generation.samples;
        for (number, tokens) in std::mem::take(&mut self.prompts).into_iter().enumerate() {
            site.handle.submit(Request {
                tokens,
                goal: Goal::Generate(Box::new(self.generation.clone())),
                index: number * samples,
                start: None,
                client,
                listener: Arc::clone(&listener),
            })?;
        }
        Ok(events)
    }

    /// The response, as it comes or when it is whole.
    pub(super) async fn answer(mut self, site: &Arc<Site>, client: Client) -> Result<Response<Body>, Problem> {
        if let Some(grammar) = self.grammar.take() {
            self.generation.constraint = Some(site.constraint(grammar).await?);
        }
        let (usage, answers) = (self.usage(), self.answers());
        let mut events = self.submit(site, client)?;
        if !self.streaming.on {
            let choices = vec![Choice::default(); answers];
            let value = collect(events, choices, usage, &self.format).await?;
            return Ok(body::json(StatusCode::OK, &value));
        }
        // What fails before anything was said has a status of its own.
        let first = match events.recv().await {
            Some(Event::Failed { failure, .. }) => return Err(failure.into()),
            first => first,
        };
        let usage = self.streaming.usage.then_some(usage);
        Ok(body::events(
            Stream::new(self.format, events, first, answers).with_usage(usage),
        ))
    }
}

/// Waits until all answers are over.
async fn collect(
    mut events: Receiver<Event>,
    mut choices: Vec<Choice>,
    mut usage: Usage,
    format: &Format,
) -> Result<serde_json::Value, Problem> {
    while let Some(event) = events.recv().await {
        match event {
            Event::Token {
                index,
                token,
                text,
                logprobs,
            } => {
                let choice = &mut choices[index];
                if let Some(logprobs) = logprobs {
                    let offset = choice.text.chars().count();
                    choice.told.push(Told { offset, logprobs });
                }
                choice.tokens.push(token);
                choice.text.push_str(&text);
            }
            Event::End {
                index,
                reason,
                text,
                totals,
            } => {
                choices[index].text.push_str(&text);
                choices[index].reason = Some(reason);
                usage.generated += totals.generated;
            }
            Event::Failed { failure, .. } => return Err(failure.into()),
            Event::Vector { .. } => {}
        }
    }
    if choices.iter().any(|choice| choice.reason.is_none()) {
        return Err(Problem::ended());
    }
    format.whole(&choices, usage)
}
