//! The events of one answer that its listener has not taken yet.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use super::{
    gauges::Gauges,
    request::{Delivery, Event, Failure, FailureKind, Listener},
};

/// Events on their way to a listener.
#[derive(Debug)]
pub(super) struct Outbox {
    listener: Arc<dyn Listener>,
    pub(super) index: usize,
    held: VecDeque<Event>,
    /// When the answer must be over.
    until: Option<Instant>,
    /// Whether the last event was pushed.
    over: bool,
    /// Whether nobody listens any more.
    gone: bool,
}

impl Outbox {
    /// Of the answer with that number.
    pub(super) fn new(listener: Arc<dyn Listener>, index: usize, until: Option<Instant>) -> Outbox {
        Outbox {
            listener,
            index,
            held: VecDeque::new(),
            until,
            over: false,
            gone: false,
        }
    }

    /// One more for the same answer, before any event of it.
    pub(super) fn another(&self) -> Outbox {
        Outbox::new(Arc::clone(&self.listener), self.index, self.until)
    }

    /// Whether events wait for room.
    pub(super) fn is_full(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether no further event comes.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Hands over an event, or holds it until there is room.
    pub(super) fn push(&mut self, event: Event) {
        self.held.push_back(event);
        self.flush();
    }

    /// The same with the last event.
    pub(super) fn end(&mut self, event: Event, gauges: &Gauges) {
        self.over = true;
        gauges.finished.fetch_add(1, Relaxed);
        self.push(event);
    }

    /// The same where there is no answer.
    pub(super) fn fail(&mut self, kind: FailureKind, message: String, gauges: &Gauges) {
        self.over = true;
        gauges.failed.fetch_add(1, Relaxed);
        let failure = Failure { kind, message };
        let index = self.index;
        self.push(Event::Failed { index, failure });
    }

    /// Hands over what was held, and says whether it makes sense to go on: somebody listens, and there is time left.
    pub(super) fn stays(&mut self, now: Instant, gauges: &Gauges) -> bool {
        if self.gone || self.listener.is_gone() {
            if !self.over {
                gauges.aborted.fetch_add(1, Relaxed);
            }
            return false;
        }
        self.flush();
        let late = self.until.is_some_and(|until| until <= now);
        if late && !self.over {
            self.fail(FailureKind::Timeout, "the answer took too long".to_owned(), gauges);
        }
        !late
    }

    fn flush(&mut self) {
        while let Some(event) = self.held.pop_front() {
            match self.listener.send(event) {
                Delivery::Taken => {}
                Delivery::Full(event) => {
                    self.held.push_front(event);
                    return;
                }
                Delivery::Gone => {
                    self.gone = true;
                    self.held.clear();
                }
            }
        }
    }
}
