//! Many requests on one executor: continuous batching with chunked prefill.
//!
//! An [`Engine`] runs in one thread and owns the [`Executor`]. Requests come through a [`Handle`], and each says who listens
//! to its answer ([`Listener`]). Every step reads one token of each sequence that generates, and some tokens of prompts
//! (`plan`): a sequence joins between two steps and leaves as soon as its answer is over. An answer is what the sequence
//! gets alone, since the rows of a step do not depend on each other.
//!
//! A listener that is gone ends its sequence, one that has no room for events pauses it; neither costs others anything.

mod accepted;
mod answer;
mod gauges;
mod handle;
mod outbox;
mod plan;
mod queue;
mod request;
mod settings;
#[cfg(test)]
mod tests;
mod turns;
mod work;

pub use gauges::Gauges;
pub use handle::{Handle, Refusal};
pub use request::{Client, Delivery, Event, Failure, FailureKind, Generation, Goal, Listener, Request, Totals};
pub use settings::Settings;

pub use crate::generation::Reason;

use std::{
    collections::VecDeque,
    sync::{
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use crate::{
    Result,
    executor::{Executor, Segment},
    model::Model,
    prefix::{PrefixCache, Start},
    sequence::Sequence,
    streams,
    tokenizer::Tokenizer,
};
use accepted::{Message, Waiting};
use answer::Answer;
use outbox::Outbox;
use plan::{Ready, plan};
use seqc_abi::batch::Room;
use turns::Turns;

/// Between two looks at listeners without room, when there is nothing else to do.
const PATIENCE: Duration = Duration::from_millis(2);

/// Answers requests, many at once.
#[derive(Debug)]
pub struct Engine<'m> {
    executor: Executor<'m>,
    tokenizer: Option<&'m Tokenizer>,
    settings: Settings,
    messages: Receiver<Message>,
    handle: Handle,
    /// The place of the logits among the outputs, where there are any.
    logits: Option<usize>,
    /// Sequences that were read, none with a limit of 0 bytes.
    cache: PrefixCache,
    waiting: VecDeque<Waiting>,
    turns: Turns,
    /// Those that were admitted, oldest first.
    answers: Vec<Answer<'m>>,
    /// The last events of answers that are over.
    leaving: Vec<Outbox>,
    /// Steps so far.
    steps: u64,
    /// Time that steps took lately.
    pace: Duration,
    /// No request comes any more.
    closing: bool,
}

impl<'m> Engine<'m> {
    /// An engine without requests. `tokenizer` gives the text of answers.
    ///
    /// # Errors
    ///
    /// Too little memory, or a model that does not read tokens.
    pub fn new(model: &'m Model, tokenizer: Option<&'m Tokenizer>, settings: Settings) -> Result<Engine<'m>> {
        streams::check_reads_tokens(model.descriptor())?;
        let cache = PrefixCache::new(settings.cache_bytes);
        let (handle, messages) = Handle::new(model.descriptor(), tokenizer.is_some(), &settings);
        Ok(Engine {
            executor: Executor::new(model)?,
            tokenizer,
            settings,
            messages,
            handle,
            logits: streams::logits(model.descriptor()).ok(),
            cache,
            waiting: VecDeque::new(),
            turns: Turns::default(),
            answers: Vec::new(),
            leaving: Vec::new(),
            steps: 0,
            pace: Duration::ZERO,
            closing: false,
        })
    }

    /// Where requests are handed in.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Answers requests until [`Handle::close`] was called and all answers are over.
    pub fn run(&mut self) {
        loop {
            self.receive();
            self.sweep();
            self.resume();
            self.admit();
            self.step();
            self.publish();
            if self.closing && self.is_idle() {
                return;
            }
        }
    }

    /// Whether a step would read nothing.
    fn nothing_runs(&self) -> bool {
        let admits = !self.waiting.is_empty() && self.has_place();
        !admits && self.answers.iter().all(Answer::waits)
    }

    /// Whether one more answer may run.
    fn has_place(&self) -> bool {
        let running = self.answers.iter().filter(|answer| !answer.pauses()).count();
        running < self.settings.sequences.max(1) && self.answers.len() < self.most()
    }

    /// The most answers, with those that are paused, which keep their memory.
    fn most(&self) -> usize {
        self.settings.sequences.max(1).saturating_mul(4)
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.answers.is_empty() && self.leaving.is_empty()
    }

    /// Takes what has come; without anything to do, waits for it.
    fn receive(&mut self) {
        if !self.closing && self.is_idle() {
            match self.messages.recv() {
                Ok(message) => self.take(message),
                Err(_) => self.closing = true,
            }
        } else if self.nothing_runs() {
            // What was read last is more likely to be known soon than what has been waited for.
            let awaiting = self.answers.iter_mut().filter(|answer| answer.awaits_grammar());
            match awaiting.max_by_key(|answer| answer.turn()) {
                Some(answer) => answer.wait(PATIENCE),
                None => match self.messages.recv_timeout(PATIENCE) {
                    Ok(message) => self.take(message),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => self.closing = true,
                },
            }
        }
        loop {
            match self.messages.try_recv() {
                Ok(message) => self.take(message),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.closing = true;
                    return;
                }
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Request(request) => self.waiting.extend(request.samples()),
            // Who waits for it looks anyway.
            Message::Drafted => {}
            Message::Close => self.closing = true,
        }
    }

    /// Ends answers that nobody listens to any more or that took too long, and hands over what could not be before.
    fn sweep(&mut self) {
        let (now, gauges, queue) = (Instant::now(), self.handle.gauges(), self.handle.queue());
        self.waiting.retain_mut(|waiting| {
            let stays = waiting.outbox.stays(now, gauges);
            if !stays {
                queue.leave(waiting.client, gauges);
            }
            stays
        });
        self.answers.retain_mut(|answer| answer.outbox.stays(now, gauges));
        self.leaving
            .retain_mut(|outbox| outbox.stays(now, gauges) && outbox.is_full());
    }

    /// Goes on with answers whose grammars had been waited for.
    fn resume(&mut self) {
        self.answers.iter_mut().for_each(|answer| answer.resume(&self.handle));
        self.keep();
        self.retire();
    }

    /// Gives places to those who wait: clients in turns, the answers of each in the order in which they came.
    fn admit(&mut self) {
        while self.has_place() {
            let Some(next) = self.next_waiting() else {
                break;
            };
            let Some(waiting) = self.waiting.remove(next) else {
                break;
            };
            self.handle.queue().leave(waiting.client, self.handle.gauges());
            let outbox = waiting.outbox.another();
            match self.begin(waiting) {
                Ok(answer) => self.answers.push(answer),
                Err(error) => self.fail(outbox, FailureKind::Failed, error.to_string()),
            }
        }
        self.retire();
    }

    fn next_waiting(&mut self) -> Option<usize> {
        let mut turns = std::mem::take(&mut self.turns);
        let clients: Vec<Client> = self.waiting.iter().map(|waiting| waiting.client).collect();
        let next = turns.next(&clients, |n| !self.is_reading(&self.waiting[n]));
        self.turns = turns;
        next
    }

    /// Whether the same prompt is being read for another answer, which will leave it in the cache.
    fn is_reading(&self, waiting: &Waiting) -> bool {
        let same = |answer: &Answer| answer.is_reading(&waiting.tokens);
        self.settings.cache_bytes > 0 && matches!(waiting.goal, Goal::Generate(_)) && self.answers.iter().any(same)
    }

    /// An answer, from as much of its prompt as was read before.
    fn begin(&mut self, waiting: Waiting) -> Result<Answer<'m>> {
        let descriptor = self.executor.model().descriptor();
        let (sequence, logits) = match &waiting.start {
            Some(start) => (start.sequence.fork(descriptor)?, start.logits.clone()),
            None => match self.find(&waiting)? {
                Some(found) => (found.sequence, found.logits),
                None => (Sequence::new(self.executor.model())?, None),
            },
        };
        let mut answer = Answer::new(waiting, sequence, descriptor, self.tokenizer)?;
        answer.drafts(self.settings.drafting.as_ref(), &self.handle);
        answer.look_ahead();
        if let Some(logits) = logits {
            answer.go_on(vec![logits], &self.handle);
        }
        Ok(answer)
    }

    /// The kept sequence that a prompt goes on from.
    fn find(&mut self, waiting: &Waiting) -> Result<Option<Start>> {
        if !matches!(waiting.goal, Goal::Generate(_)) {
            return Ok(None);
        }
        let found = self.cache.find(self.executor.model().descriptor(), &waiting.tokens)?;
        if let Some(found) = &found {
            let gauges = self.handle.gauges();
            gauges.cache_hits.fetch_add(1, Relaxed);
            gauges.cache_tokens.fetch_add(found.sequence.position(), Relaxed);
        }
        Ok(found)
    }

    /// Tokens between two of the places where sequences are kept, if there are such places.
    fn interval(&self) -> Option<usize> {
        let kept = self.settings.cache_bytes > 0 && !Sequence::cuts_anywhere(self.executor.model().descriptor());
        kept.then(|| self.settings.snapshot_tokens.max(1))
    }

    /// The last event of an answer that cannot go on.
    fn fail(&mut self, mut outbox: Outbox, kind: FailureKind, message: String) {
        outbox.fail(kind, message, self.handle.gauges());
        self.leave(outbox);
    }

    fn leave(&mut self, outbox: Outbox) {
        if outbox.is_full() {
            self.leaving.push(outbox);
        }
    }

    /// The tokens that the next step reads of each answer.
    fn shares(&self) -> Vec<usize> {
        let descriptor = self.executor.model().descriptor();
        let interval = self.interval();
        let ready: Vec<Ready> = self.answers.iter().map(|answer| answer.ready(interval)).collect();
        if descriptor.causal {
            let room = Room::of(descriptor);
            let shares = plan(&ready, room, self.settings.prompt_rows);
            return self.undivided(shares, room);
        }
        // A model that looks ahead reads an input at once, and one in a step.
        let first = ready.iter().position(|ready| ready.tokens > 0);
        let share = |(n, ready): (usize, &Ready)| if Some(n) == first { ready.tokens } else { 0 };
        ready.iter().enumerate().map(share).collect()
    }

    /// The same where tokens of prompts that choose together are not divided: those for which there is no room wait.
    fn undivided(&self, mut shares: Vec<usize>, room: Room) -> Vec<usize> {
        let descriptor = self.executor.model().descriptor();
        if descriptor.together <= 1 {
            return shares;
        }
        let mut left = Some(room);
        // Those that were waiting longest come first, so that everybody is served at some time.
        let mut order: Vec<usize> = (0..shares.len()).collect();
        order.sort_by_key(|n| self.answers[*n].turn());
        for n in order {
            let share = self.answers[n].undivided(descriptor, shares[n]);
            let after = left.and_then(|room| if share > 0 { room.take(share) } else { Some(room) });
            shares[n] = if after.is_some() { share } else { 0 };
            left = after.or(left);
        }
        shares
    }

    /// Reads the next tokens of some answers, chooses the next token of each that has read all.
    fn step(&mut self) {
        for answer in &mut self.answers {
            answer.draft(self.executor.model().descriptor(), self.handle.context(), self.pace);
        }
        let mut shares = self.shares();
        let (from, interval) = (Instant::now(), self.interval());
        let descriptor = self.executor.model().descriptor();
        let mut segments: Vec<Segment> = Vec::new();
        for (answer, share) in self.answers.iter_mut().zip(&mut shares) {
            if *share > 0 {
                *share = answer.begin_draft(*share, descriptor);
                answer.look_ahead();
                segments.push(answer.segment(*share));
            }
        }
        if segments.is_empty() {
            return;
        }
        self.steps += 1;
        let outputs = match self.executor.step(&mut segments) {
            Ok(outputs) => outputs,
            Err(error) => {
                drop(segments);
                return self.give_up_the_newest(&shares, &error);
            }
        };
        let mut row = 0;
        let gauges = self.handle.gauges();
        self.pace = (3 * self.pace + from.elapsed()) / 4;
        gauges.stepped(from.elapsed(), shares.iter().sum());
        let reading = answer::Reading {
            outputs: &outputs,
            logits: self.logits,
            handle: &self.handle,
            step: self.steps,
            interval,
        };
        for (answer, share) in self.answers.iter_mut().zip(&shares) {
            if *share > 0 {
                row += answer.read(*share, row, &reading);
            }
        }
        self.keep();
        self.retire();
    }

    /// Keeps sequences where that is worth it.
    fn keep(&mut self) {
        let (descriptor, gauges) = (self.executor.model().descriptor(), self.handle.gauges());
        let mut kept = false;
        for answer in &mut self.answers {
            kept |= answer.keep(&mut self.cache, descriptor);
        }
        if kept {
            gauges.cache_bytes.store(self.cache.bytes(), Relaxed);
            gauges.cache_sequences.store(self.cache.len(), Relaxed);
        }
    }

    /// Takes out answers that are over.
    fn retire(&mut self) {
        let over = self.answers.extract_if(.., |answer| answer.outbox.is_over());
        let outboxes: Vec<Outbox> = over.map(|answer| answer.outbox).collect();
        for outbox in outboxes {
            self.leave(outbox);
        }
    }

    /// There is too little memory for a step: the answer that came last gives its own back.
    fn give_up_the_newest(&mut self, shares: &[usize], error: &crate::Error) {
        let newest = shares.iter().rposition(|share| *share > 0);
        if let Some(newest) = newest {
            let answer = self.answers.remove(newest);
            self.fail(answer.outbox, FailureKind::Failed, error.to_string());
        }
    }

    fn publish(&self) {
        let gauges = self.handle.gauges();
        let paused = self.answers.iter().filter(|answer| answer.outbox.is_full()).count();
        gauges.running.store(self.answers.len() - paused, Relaxed);
        gauges.paused.store(paused, Relaxed);
    }
}
