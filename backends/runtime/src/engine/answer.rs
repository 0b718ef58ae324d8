//! One answer: its sequence, what it still has to read, and what is made of the outputs.

use std::sync::atomic::Ordering::Relaxed;

use seqc_abi::Descriptor;

use super::{
    accepted::Waiting,
    gauges::Gauges,
    outbox::Outbox,
    plan::Ready,
    request::{Event, FailureKind, Generation, Goal, Pooling, Reason, Totals},
};
use crate::{
    Result,
    executor::Segment,
    finite,
    generation::{Choice, Continuation, Sampler, Taken, Wishes},
    inputs::Values,
    outputs::Outputs,
    sequence::Sequence,
    streams::{self, is_vector, width},
    tokenizer::Tokenizer,
};

/// An answer in the making.
#[derive(Debug)]
pub(super) struct Answer<'m> {
    sequence: Sequence,
    /// The prompt, or the token that was chosen last.
    input: [Values; 1],
    /// Tokens of the input, and how many of them have been read.
    tokens: usize,
    done: usize,
    work: Work<'m>,
    /// The step that last read of it.
    turn: u64,
    totals: Totals,
    pub(super) outbox: Outbox,
}

/// What is made of the outputs.
#[derive(Debug)]
enum Work<'m> {
    Generate {
        continuation: Box<Continuation<'m>>,
        max_tokens: usize,
    },
    Embed {
        pooling: Pooling,
        /// The place of the vectors among the outputs.
        output: usize,
        /// The sum of the rows that count.
        sum: Vec<f32>,
    },
    Over,
}

/// What a step gave.
pub(super) struct Reading<'a> {
    pub(super) outputs: &'a Outputs<'a>,
    /// The place of the logits.
    pub(super) logits: Option<usize>,
    /// Tokens of a sequence.
    pub(super) context: usize,
    pub(super) gauges: &'a Gauges,
    pub(super) step: u64,
}

impl<'m> Answer<'m> {
    /// An answer that has its place.
    pub(super) fn new(
        waiting: Waiting,
        descriptor: &Descriptor,
        tokenizer: Option<&'m Tokenizer>,
    ) -> Result<Answer<'m>> {
        let Waiting {
            tokens,
            goal,
            start,
            outbox,
        } = waiting;
        let sequence = match start {
            Some(sequence) => sequence,
            None => Sequence::new(descriptor)?,
        };
        Ok(Answer {
            work: match goal {
                Goal::Generate(generation) => Work::generate(*generation, &tokens, descriptor, tokenizer)?,
                Goal::Embed(pooling) => Work::embed(pooling, descriptor),
            },
            done: sequence.position() as usize,
            sequence,
            tokens: tokens.len(),
            totals: Totals {
                prompt: tokens.len(),
                generated: 0,
            },
            input: [Values::I64(tokens)],
            turn: 0,
            outbox,
        })
    }

    /// What can be read of it.
    pub(super) fn ready(&self) -> Ready {
        let tokens = self.tokens - self.done;
        Ready {
            tokens: if self.outbox.is_full() { 0 } else { tokens },
            generates: self.totals.generated > 0,
            turn: self.turn,
        }
    }

    /// The first of the next `tokens` tokens whose outputs count.
    fn wanted_from(&self, tokens: usize) -> usize {
        let last = self.done + tokens == self.tokens;
        let pooling = match &self.work {
            Work::Embed { pooling, .. } => *pooling,
            Work::Generate { .. } | Work::Over => Pooling::Last,
        };
        match pooling {
            Pooling::Mean => 0,
            Pooling::First if self.done == 0 => 0,
            Pooling::Last if last => tokens - 1,
            Pooling::First | Pooling::Last => tokens,
        }
    }

    /// The next tokens of it.
    pub(super) fn segment(&mut self, tokens: usize) -> Segment<'_> {
        Segment {
            wanted_from: self.wanted_from(tokens),
            sequence: &mut self.sequence,
            inputs: &self.input,
            at: self.done,
            tokens,
        }
    }

    /// Takes the outputs of the tokens that a step read, from row `first` of the wanted ones on: how many rows these are.
    pub(super) fn read(&mut self, tokens: usize, first: usize, reading: &Reading) -> usize {
        let rows = tokens - self.wanted_from(tokens);
        self.done += tokens;
        self.turn = reading.step;
        if self.totals.generated == 0 {
            reading.gauges.prompt_tokens.fetch_add(tokens as u64, Relaxed);
        }
        if let Work::Embed { pooling, output, sum } = &mut self.work {
            let counted = if *pooling == Pooling::First { rows.min(1) } else { rows };
            for row in first..first + counted {
                add(sum, reading.outputs.row(*output, row));
            }
        }
        if self.done == self.tokens {
            self.complete(first + rows.max(1) - 1, reading);
        }
        rows
    }

    /// All of the input was read, and `row` has the outputs of the last token.
    fn complete(&mut self, row: usize, reading: &Reading) {
        match (&mut self.work, reading.logits) {
            (Work::Embed { sum, .. }, _) => {
                let values = unit(std::mem::take(sum));
                let index = self.outbox.index;
                let totals = self.totals;
                self.outbox.end(Event::Vector { index, values, totals }, reading.gauges);
            }
            (Work::Generate { .. }, Some(logits)) => {
                let scores: Vec<f32> = reading.outputs.row(logits, row).collect();
                if finite::undecided(&scores) {
                    let message = finite::no_token(self.sequence.position(), None);
                    self.outbox.fail(FailureKind::Failed, message, reading.gauges);
                    return;
                }
                match self.choose(&scores, reading) {
                    Ok(Some(reason)) => self.finish(reason, reading.gauges),
                    Ok(None) => {}
                    Err(error) => self.outbox.fail(FailureKind::Failed, error.to_string(), reading.gauges),
                }
            }
            // Requests without logits are refused, and what is over is read no further.
            (Work::Generate { .. }, None) | (Work::Over, _) => {}
        }
    }

    /// Chooses the next token: why the answer is over with it.
    fn choose(&mut self, scores: &[f32], reading: &Reading) -> Result<Option<Reason>> {
        let Work::Generate {
            continuation,
            max_tokens,
        } = &mut self.work
        else {
            return Ok(None);
        };
        let Choice { token, logprobs } = continuation.choose(scores)?;
        let taken = continuation.take(token)?;
        let max_tokens = *max_tokens;
        self.totals.generated += 1;
        reading.gauges.generated_tokens.fetch_add(1, Relaxed);
        let (text, over) = match taken {
            Taken::End => return Ok(Some(Reason::End)),
            Taken::Text(text) => (text, None),
            Taken::Stopped(text) => (text, Some(Reason::Stop)),
            Taken::Complete(text) => (text, Some(Reason::End)),
        };
        let index = self.outbox.index;
        let event = Event::Token {
            index,
            token,
            text,
            logprobs,
        };
        self.outbox.push(event);
        (self.input, self.tokens, self.done) = ([Values::I64(vec![token])], 1, 0);
        Ok(if over.is_some() {
            over
        } else if self.totals.generated >= max_tokens {
            Some(Reason::Length)
        } else if self.sequence.position() >= reading.context as u64 {
            Some(Reason::Context)
        } else {
            None
        })
    }

    fn finish(&mut self, reason: Reason, gauges: &Gauges) {
        let text = match std::mem::replace(&mut self.work, Work::Over) {
            Work::Generate { continuation, .. } if reason != Reason::Stop => {
                let rest = continuation.finish();
                rest.text + &rest.broken
            }
            Work::Generate { .. } | Work::Embed { .. } | Work::Over => String::new(),
        };
        let (index, totals) = (self.outbox.index, self.totals);
        let event = Event::End {
            index,
            reason,
            text,
            totals,
        };
        self.outbox.end(event, gauges);
    }
}

impl<'m> Work<'m> {
    fn generate(
        generation: Generation,
        prompt: &[i64],
        descriptor: &Descriptor,
        tokenizer: Option<&'m Tokenizer>,
    ) -> Result<Work<'m>> {
        let logits = streams::logits(descriptor)?;
        let sampler = Sampler::new(generation.sampling, width(&descriptor.outputs[logits]))?;
        let wishes = Wishes {
            ends: generation.ends,
            stops: generation.stops,
            constraint: generation.constraint,
            logprobs: generation.logprobs,
        };
        let text = tokenizer.map(|tokenizer| tokenizer.stream(prompt));
        let mut continuation = Continuation::new(sampler, text, wishes)?;
        continuation.read(prompt);
        Ok(Work::Generate {
            continuation: Box::new(continuation),
            max_tokens: generation.max_tokens,
        })
    }

    fn embed(pooling: Pooling, descriptor: &Descriptor) -> Work<'m> {
        let output = descriptor.outputs.iter().position(is_vector).unwrap_or_default();
        Work::Embed {
            pooling,
            output,
            sum: Vec::new(),
        }
    }
}

fn add(sum: &mut Vec<f32>, row: impl Iterator<Item = f32>) {
    for (n, value) in row.enumerate() {
        match sum.get_mut(n) {
            Some(entry) => *entry += value,
            None => sum.push(value),
        }
    }
}

/// A vector of the same direction and length 1.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let squares: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    if squares > 0.0 {
        let length = squares.sqrt();
        vector
            .iter_mut()
            .for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    vector
}
