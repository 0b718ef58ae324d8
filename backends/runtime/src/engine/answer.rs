//! One answer: its sequence, what it still has to read, and what is made of the outputs.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use seqc_abi::Descriptor;

use super::{
    accepted::Waiting,
    gauges::Gauges,
    handle::Handle,
    outbox::Outbox,
    plan::Ready,
    request::{Event, FailureKind, Goal, Totals},
    work::Work,
};
use crate::{
    Error, Result,
    executor::Segment,
    finite,
    generation::{Choice, Reason, Taken},
    inputs::Values,
    outputs::Outputs,
    pooling::{Pooling, add, unit},
    prefix::PrefixCache,
    sequence::Sequence,
    speculation::{Drafting, Speculation},
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
    /// What the sequence has read.
    read: Vec<i64>,
    speculation: Option<Speculation>,
    /// Whether it waits for a draft.
    awaits: bool,
    /// Tokens of a draft at the end of the input.
    draft: usize,
    /// The sequence before it read a draft, where it cannot be cut behind what is chosen of it.
    before: Option<Sequence>,
    /// The sequence is worth keeping as it is: with the logits of the last token, or without.
    snapshot: Option<Vec<f32>>,
    /// The logits behind tokens that were read, from which the next ones are not chosen yet: it takes part in no step until
    /// they are.
    unjudged: Vec<Vec<f32>>,
    /// Why the answer is over with the last token, unless its grammar admits nothing more.
    ending: Option<Reason>,
    /// The step that last read of it.
    turn: u64,
    totals: Totals,
    pub(super) outbox: Outbox,
}

/// What a step gave.
pub(super) struct Reading<'a> {
    pub(super) outputs: &'a Outputs<'a>,
    /// The place of the logits.
    pub(super) logits: Option<usize>,
    pub(super) handle: &'a Handle,
    pub(super) step: u64,
    /// After so many tokens of a prompt, and again, a sequence is kept.
    pub(super) interval: Option<usize>,
}

impl<'m> Answer<'m> {
    /// An answer that has its place, from a sequence that has read the first tokens of the prompt.
    pub(super) fn new(
        waiting: Waiting,
        mut sequence: Sequence,
        descriptor: &Descriptor,
        tokenizer: Option<&'m Tokenizer>,
    ) -> Result<Answer<'m>> {
        let Waiting {
            tokens,
            goal,
            outbox,
            start: _,
            client: _,
        } = waiting;
        let read = tokens[..sequence.position() as usize].to_vec();
        match &goal {
            Goal::Generate(_) if read.len() == tokens.len() => sequence.begin_answer(),
            Goal::Generate(_) => sequence.end_prompt(tokens.len() as u64),
            Goal::Embed(_) => {}
        }
        Ok(Answer {
            read,
            speculation: None,
            awaits: false,
            draft: 0,
            before: None,
            snapshot: None,
            unjudged: Vec::new(),
            ending: None,
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

    /// What can be read of it: of a prompt, no further than to where the sequence is kept.
    pub(super) fn ready(&self, interval: Option<usize>) -> Ready {
        let mut tokens = self.tokens - self.done;
        if let Some(interval) = interval.filter(|_| self.reads_prompt()) {
            tokens = tokens.min(interval - self.done % interval);
        }
        Ready {
            tokens: if self.waits() { 0 } else { tokens },
            generates: self.totals.generated > 0,
            turn: self.turn,
        }
    }

    /// Tokens to read of it in place of `share` where those that choose together are not divided.
    pub(super) fn undivided(&self, descriptor: &Descriptor, share: usize) -> usize {
        match share {
            0 => 0,
            share => self.sequence.undivided(descriptor, share, self.tokens - self.done),
        }
    }

    /// Whether its prompt is being read, to be continued.
    fn reads_prompt(&self) -> bool {
        self.totals.generated == 0 && matches!(self.work, Work::Generate { .. })
    }

    /// Whether these tokens are being read for it as its prompt.
    pub(super) fn is_reading(&self, prompt: &[i64]) -> bool {
        let [Values::I64(tokens)] = &self.input else {
            return false;
        };
        self.reads_prompt() && tokens == prompt
    }

    /// Keeps its sequence where that is worth it now; gives whether it did.
    pub(super) fn keep(&mut self, cache: &mut PrefixCache, descriptor: &Descriptor) -> bool {
        // Without memory for a copy nothing is kept.
        self.snapshot
            .take()
            .is_some_and(|logits| cache.keep(descriptor, &self.read, &self.sequence, &logits).is_ok())
    }

    /// Drafts tokens, where that is asked for.
    pub(super) fn drafts(&mut self, drafting: Option<&Drafting>, handle: &Handle) {
        self.speculation = drafting.map(|drafting| Speculation::waking(drafting, || Some(handle.waker())));
    }

    /// Adds a draft to the token that was chosen last, or waits for it. Where tokens have to be read again, they are read first.
    pub(super) fn draft(&mut self, descriptor: &Descriptor, context: usize, pace: Duration) {
        if self.totals.generated == 0 || self.tokens != 1 || self.done > 0 || self.pauses() {
            return;
        }
        let (Some(speculation), Work::Generate { max_tokens, .. }, [Values::I64(input)]) =
            (&mut self.speculation, &self.work, &mut self.input)
        else {
            return;
        };
        let room = descriptor.max_chunk.min(context.saturating_sub(self.read.len()));
        let most = room.min(max_tokens - self.totals.generated).saturating_sub(1);
        self.read.extend(&*input);
        let draft = speculation.poll(&self.read, most, pace);
        self.read.pop();
        self.awaits = draft.is_none();
        input.extend(draft.unwrap_or_default());
        self.tokens = input.len();
        self.draft = self.tokens - 1;
    }

    /// Shortens a draft to what a step has room for, and keeps the sequence as it is where it cannot be cut later.
    /// Gives how many tokens the step reads.
    pub(super) fn begin_draft(&mut self, tokens: usize, descriptor: &Descriptor) -> usize {
        if self.draft == 0 {
            return tokens;
        }
        let mut tokens = tokens;
        if tokens > 1 && !Sequence::cuts_anywhere(descriptor) {
            // Without memory for a copy nothing is drafted.
            self.before = self.sequence.fork(descriptor).ok();
            tokens = if self.before.is_some() { tokens } else { 1 };
        }
        self.input[0].truncate(tokens);
        (self.tokens, self.draft) = (tokens, tokens - 1);
        tokens
    }

    /// Begins to find out, while a step reads the next tokens, which ones its grammar admits after them.
    pub(super) fn look_ahead(&mut self) {
        if let (Work::Generate { continuation, .. }, [Values::I64(input)]) = (&mut self.work, &self.input) {
            continuation.look_ahead(&input[input.len() - self.draft..]);
        }
    }

    /// Whether it waits until it is known what its grammar admits.
    pub(super) fn awaits_grammar(&self) -> bool {
        !self.unjudged.is_empty() || self.ending.is_some()
    }

    /// Whether it takes part in no step for now.
    pub(super) fn pauses(&self) -> bool {
        self.outbox.is_full() || self.awaits_grammar()
    }

    /// Whether it takes part in no step for now, or waits for a draft.
    pub(super) fn waits(&self) -> bool {
        self.pauses() || self.awaits
    }

    /// The step that last read of it.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Waits for that, but not for longer than this.
    pub(super) fn wait(&mut self, most: Duration) {
        if let Work::Generate { continuation, .. } = &mut self.work {
            continuation.wait(most);
        }
    }

    /// The first of the next `tokens` tokens whose outputs count.
    fn wanted_from(&self, tokens: usize) -> usize {
        if self.draft > 0 {
            return 0;
        }
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
        if let [Values::I64(ids)] = &self.input {
            self.read.extend(&ids[self.done..self.done + tokens]);
        }
        self.done += tokens;
        if let Some(interval) = reading.interval
            && self.reads_prompt()
            && self.done.is_multiple_of(interval)
        {
            self.snapshot = Some(Vec::new());
        }
        self.turn = reading.step;
        if self.totals.generated == 0 {
            reading.handle.gauges().prompt_tokens.fetch_add(tokens as u64, Relaxed);
        }
        if let Work::Embed { pooling, output, sum } = &mut self.work {
            let counted = if *pooling == Pooling::First { rows.min(1) } else { rows };
            for row in first..first + counted {
                add(sum, reading.outputs.row(*output, row));
            }
        }
        if self.done == self.tokens {
            self.complete(first + rows.max(1) - 1, rows, reading);
        }
        rows
    }

    /// All of the input was read, and `last` is the last of its `rows` rows of outputs.
    fn complete(&mut self, last: usize, rows: usize, reading: &Reading) {
        match (&mut self.work, reading.logits) {
            (Work::Embed { sum, .. }, _) => {
                let values = unit(std::mem::take(sum));
                let index = self.outbox.index;
                let totals = self.totals;
                let event = Event::Vector { index, values, totals };
                self.outbox.end(event, reading.handle.gauges());
            }
            (Work::Generate { .. }, Some(logits)) => {
                let drafted = if self.draft > 0 { rows - 1 } else { 0 };
                let logits: Vec<Vec<f32>> = (last - drafted..=last)
                    .map(|row| reading.outputs.row(logits, row).collect())
                    .collect();
                let snapshot = (self.totals.generated == 0).then(|| logits[0].clone());
                let snapshot = snapshot.filter(|logits| !finite::undecided(logits));
                self.go_on(logits, reading.handle);
                self.snapshot = snapshot.or(self.snapshot.take());
            }
            // Requests without logits are refused, and what is over is read no further.
            (Work::Generate { .. }, None) | (Work::Over, _) => {}
        }
    }

    /// Goes on from the logits behind its last token, or behind this one and the tokens of a draft.
    pub(super) fn go_on(&mut self, logits: Vec<Vec<f32>>, handle: &Handle) {
        self.unjudged = logits;
        self.resume(handle);
    }

    /// Chooses the next tokens, if there are logits to choose from and it is known what its grammar admits.
    pub(super) fn resume(&mut self, handle: &Handle) {
        if !self.awaits_grammar() {
            return;
        }
        let ready = match &mut self.work {
            Work::Generate { continuation, .. } => continuation.is_ready(),
            Work::Embed { .. } | Work::Over => false,
        };
        if !ready {
            return;
        }
        let rows = std::mem::take(&mut self.unjudged);
        if self.draft > 0 {
            self.verify(&rows, handle);
        } else {
            self.judge(rows.first().map_or(&[], Vec::as_slice), handle);
        }
    }

    /// The last token and a draft were read, with these logits: keeps what is chosen. What is not chosen is
    /// forgotten: at once, or with all tokens of the step, which are then read again with those that follow.
    fn verify(&mut self, rows: &[Vec<f32>], handle: &Handle) {
        let [Values::I64(tokens)] = self.input.clone() else {
            return;
        };
        let base = self.read.len() - tokens.len();
        let mut certain = 0;
        for row in rows {
            self.draft = tokens.len() - 1 - certain;
            self.judge(row, handle);
            certain += 1;
            if self.outbox.is_over()
                || self.ending.is_some()
                || self.input[..] != [Values::I64(tokens[certain..].iter().take(1).copied().collect())]
            {
                break;
            }
        }
        self.draft = 0;
        if let Some(speculation) = &mut self.speculation {
            speculation.judge(tokens.len() - 1, certain - 1);
        }
        let (descriptor, gauges) = (handle.descriptor(), handle.gauges());
        gauges.drafted_tokens.fetch_add(tokens.len() as u64 - 1, Relaxed);
        gauges.accepted_tokens.fetch_add(certain as u64 - 1, Relaxed);
        let before = self.before.take();
        match before {
            _ if certain == tokens.len() => {}
            None => {
                self.sequence.truncate(descriptor, (base + certain) as u64);
                self.read.truncate(base + certain);
            }
            Some(before) => {
                self.sequence = before;
                self.read.truncate(base);
                if let ([Values::I64(input)], false) = (&mut self.input, self.outbox.is_over()) {
                    input.splice(..0, tokens[..certain].iter().copied());
                    self.tokens = input.len();
                }
            }
        }
    }

    /// Chooses the next token from the logits behind the last one, unless the answer is over with that.
    fn judge(&mut self, logits: &[f32], handle: &Handle) {
        match self.choose(logits, handle) {
            Ok(Some(reason)) => self.finish(reason, handle.gauges()),
            Ok(None) => {}
            // A grammar or biases that leave no token.
            Err(error @ Error::Input(_)) => self.fail(FailureKind::Wrong, error.to_string(), handle.gauges()),
            Err(error) => self.fail(FailureKind::Failed, error.to_string(), handle.gauges()),
        }
    }

    fn fail(&mut self, kind: FailureKind, message: String, gauges: &Gauges) {
        self.work = Work::Over;
        self.ending = None;
        self.outbox.fail(kind, message, gauges);
    }

    /// Chooses the next token: why the answer is over with it, or with the one before.
    fn choose(&mut self, scores: &[f32], handle: &Handle) -> Result<Option<Reason>> {
        let Work::Generate {
            continuation,
            max_tokens,
        } = &mut self.work
        else {
            return Ok(None);
        };
        if continuation.is_complete()? {
            return Ok(Some(Reason::End));
        }
        if let Some(reason) = self.ending.take() {
            return Ok(Some(reason));
        }
        if finite::undecided(scores) {
            return Err(Error::Failed(finite::no_token(self.sequence.position(), None)));
        }
        let Choice { token, logprobs } = continuation.choose(scores)?;
        let taken = continuation.put(token)?;
        let (max_tokens, constrained) = (*max_tokens, continuation.is_constrained());
        self.totals.generated += 1;
        handle.gauges().generated_tokens.fetch_add(1, Relaxed);
        let (text, over) = match taken {
            Taken::End => return Ok(Some(Reason::End)),
            Taken::Text(text) => (text, None),
            Taken::Stopped(text) => (text, Some(Reason::Stop)),
            // Which grammars do only later.
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
        if over.is_some() {
            return Ok(over);
        }
        let full = self.sequence.position() - self.draft as u64 >= handle.context() as u64;
        let ending = match self.totals.generated >= max_tokens {
            true => Some(Reason::Length),
            false => full.then_some(Reason::Context),
        };
        if !constrained {
            return Ok(ending);
        }
        self.ending = ending;
        Ok(None)
    }

    fn finish(&mut self, reason: Reason, gauges: &Gauges) {
        // The next prompt may go on from here.
        self.snapshot = Some(Vec::new());
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
