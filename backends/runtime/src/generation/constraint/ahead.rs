//! Which tokens may come next, found out by another thread: after the tokens that were chosen, and along a draft.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use llguidance::{CancellationHandle, TokenParser, api::StopReason, toktrie::SimpleVob};

use super::{
    limits::{MASK_TIME, SLOW},
    lost,
    workers::{Worker, Workers},
};

/// How an answer goes on.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// These tokens may come next.
    Mask(SimpleVob),
    /// It is complete: nothing can follow.
    Complete,
    /// The grammar cannot go on, for this reason.
    Failed(String),
}

/// What is to be found out.
#[derive(Debug)]
pub(super) struct Task {
    /// Tokens that were chosen, which the parser has not taken.
    pub(super) chosen: Vec<u32>,
    /// Tokens that may be chosen after these.
    pub(super) draft: Vec<u32>,
}

/// A parser with what was found out by it.
pub(super) struct Known {
    pub(super) parser: TokenParser,
    pub(super) found: Vec<Next>,
}

/// A parser, which a thread has while it finds out what comes next.
pub(super) struct Slot {
    status: Mutex<Status>,
    changed: Condvar,
}

struct Status {
    /// None while a thread has it.
    parser: Option<TokenParser>,
    /// What was found out: first after all tokens that were chosen, then after each of the draft.
    found: Vec<Next>,
    running: Option<Running>,
    /// What ends the parser's work, or that of its copy that follows a draft.
    cancel: CancellationHandle,
    /// The work before was slow, so that the next one will be.
    slow: bool,
    /// Nobody wants to know it any more.
    abandoned: bool,
    /// The parser panicked and does not come back.
    lost: bool,
}

/// The thread that has the parser, and the time that it had used when it began the present step.
struct Running {
    worker: Arc<Worker>,
    from: Duration,
}

impl Slot {
    pub(super) fn new(mut parser: TokenParser) -> Arc<Slot> {
        Arc::new(Slot {
            status: Mutex::new(Status {
                cancel: parser.enable_cancellation(),
                parser: Some(parser),
                found: Vec::new(),
                running: None,
                slow: false,
                abandoned: false,
                lost: false,
            }),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a thread find it out.
    pub(super) fn begin(self: &Arc<Slot>, task: Task, workers: &Workers) {
        let (taken, slow) = {
            let mut status = self.lock();
            (status.parser.take(), status.slow)
        };
        let Some(parser) = taken else { return };
        let slot = Arc::clone(self);
        let work = Box::new(move |worker: &Arc<Worker>| {
            let tell = Arc::clone(&slot);
            lost::guarded(|| slot.work(parser, &task, worker), move || tell.lose());
        });
        match slow {
            true => workers.submit_aside(work),
            false => workers.submit(work),
        }
    }

    /// Whether it was found out. Work that turns out to be slow does not hold up others, and ends when it takes too long.
    pub(super) fn is_done(&self, workers: &Workers) -> bool {
        let mut status = self.lock();
        if status.lost
            && let Some(running) = status.running.take()
        {
            workers.set_aside(&running.worker);
        }
        if status.parser.is_some() || status.lost {
            return true;
        }
        if let Some(running) = &status.running {
            let used = running.worker.thread.used().saturating_sub(running.from);
            if used > SLOW {
                workers.set_aside(&running.worker);
            }
            if used > MASK_TIME {
                status.cancel.cancel();
            }
        }
        false
    }

    /// Waits until it was found out, but not for longer than this: whether it was.
    pub(super) fn wait(&self, workers: &Workers, most: Duration) -> bool {
        let status = self.lock();
        let busy = |status: &mut Status| status.parser.is_none() && !status.lost;
        drop(self.changed.wait_timeout_while(status, most, busy));
        self.is_done(workers)
    }

    /// What was found out.
    pub(super) fn take(&self) -> Vec<Next> {
        let mut status = self.lock();
        match status.lost {
            true => vec![Next::Failed(lost::SAID.to_owned())],
            false => std::mem::take(&mut status.found),
        }
    }

    /// A copy of the parser, unless a thread has it.
    pub(super) fn copy(&self) -> Option<Known> {
        let status = self.lock();
        let found = || status.found.clone();
        status.parser.clone().map(|parser| Known { parser, found: found() })
    }

    /// Nobody wants to know it any more: the thread that has the parser is free soon, and its place at once.
    pub(super) fn abandon(&self, workers: &Workers) {
        let mut status = self.lock();
        status.abandoned = true;
        status.cancel.cancel();
        if let Some(running) = &status.running {
            workers.set_aside(&running.worker);
        }
    }

    /// The parser panicked.
    pub(super) fn lose(&self) {
        let mut status = self.lock();
        status.lost = true;
        self.changed.notify_all();
    }

    /// What a thread does with the parser.
    fn work(&self, mut parser: TokenParser, task: &Task, worker: &Arc<Worker>) {
        let (mut found, from) = (Vec::new(), worker.thread.used());
        if self.starts(worker, None) {
            found.push(follow(&mut parser, &task.chosen));
        }
        let ahead = match (&found[..], &task.draft[..]) {
            ([Next::Mask(mask)], [first, ..]) => mask.is_allowed(*first).then(|| parser.clone()),
            _ => None,
        };
        if let Some(mut ahead) = ahead {
            let cancel = ahead.enable_cancellation();
            for token in &task.draft {
                let admitted = matches!(found.last(), Some(Next::Mask(mask)) if mask.is_allowed(*token));
                if !admitted || !self.starts(worker, Some(&cancel)) {
                    break;
                }
                found.push(follow(&mut ahead, &[*token]));
            }
        }
        let mut status = self.lock();
        if let Some(cancel) = parser.cancellation_handle() {
            status.cancel = cancel;
        }
        status.slow = worker.thread.used().saturating_sub(from) > SLOW;
        (status.parser, status.found, status.running) = (Some(parser), found, None);
        self.changed.notify_all();
    }

    /// The thread begins a step, which may take its time; whether anybody wants to know what comes of it.
    fn starts(&self, worker: &Arc<Worker>, cancel: Option<&CancellationHandle>) -> bool {
        let mut status = self.lock();
        if let Some(cancel) = cancel {
            status.cancel = cancel.clone();
        }
        status.running = Some(Running {
            from: worker.thread.used(),
            worker: Arc::clone(worker),
        });
        !status.abandoned
    }
}

/// How an answer goes on after further tokens.
fn follow(parser: &mut TokenParser, tokens: &[u32]) -> Next {
    let taken = tokens
        .iter()
        .try_for_each(|token| parser.consume_token(*token).map(drop));
    let next = taken.and_then(|()| match !tokens.is_empty() && parser.check_stop()? {
        true => Ok(Next::Complete),
        false => parser.compute_mask().map(Next::Mask),
    });
    next.unwrap_or_else(|error| {
        Next::Failed(match parser.stop_reason() {
            StopReason::NoExtensionBias => "no token of the vocabulary continues the answer".to_owned(),
            StopReason::Cancelled => format!(
                "it is too ambiguous: the tokens that may come next were not found in {} s",
                MASK_TIME.as_secs_f32()
            ),
            _ => error.to_string().trim_end().to_owned(),
        })
    })
}
