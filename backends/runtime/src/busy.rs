//! How many threads are worth their meetings: fewer where other processes use the cores.
//!
//! Threads that generate a token meet hundreds of times. Where one of them waits for its core, all others wait for it,
//! and fewer threads are faster. Nothing is done while the threads are left alone: the system counts how often it took
//! a core away from them. Where it does, half of them are tried for some tokens, and the faster number is used.

use std::time::{Duration, Instant};

use crate::{
    barrier::Meetings,
    scheduling::{contended, interruptions},
};

/// Interruptions per second from which on others may be using the cores.
const BUSY: f64 = 40.0;
/// A way is judged by at least so many tokens and so much time.
const TOKENS: u32 = 8;
const TIME: Duration = Duration::from_millis(40);
/// Another number of threads has to be faster by this factor.
const FASTER: f64 = 0.9;
/// Judgements until the next trial after one that was in vain; the longest such pause.
const PAUSE: u32 = 8;
const LONGEST_PAUSE: u32 = 256;

/// Watches generation, token by token, and says how many threads shall take part.
#[derive(Debug)]
pub(crate) struct Watch {
    most: usize,
    active: usize,
    /// Whether the number may change.
    adapts: bool,
    busy: bool,
    trial: Option<Trial>,
    /// Whether fewer threads are tried next.
    down: bool,
    rest: u32,
    pause: u32,
    since: Since,
}

/// What was used before, and the seconds that a token took.
#[derive(Debug)]
struct Trial {
    active: usize,
    seconds: f64,
}

/// What was seen since the last judgement.
#[derive(Debug)]
struct Since {
    tokens: u32,
    time: Duration,
    interruptions: i64,
}

impl Since {
    fn now() -> Since {
        Since {
            tokens: 0,
            time: Duration::ZERO,
            interruptions: interruptions(),
        }
    }
}

impl Watch {
    /// All of `threads` take part at first; for good, unless the number may change.
    pub(crate) fn new(threads: usize, adapts: bool) -> Watch {
        Watch {
            most: threads,
            active: threads,
            adapts,
            busy: false,
            trial: None,
            down: true,
            rest: 0,
            pause: PAUSE,
            since: Since::now(),
        }
    }

    /// Threads that shall take part in the next token.
    pub(crate) fn active(&self) -> usize {
        self.active
    }

    /// Threads that shall read several tokens. Where they meet at every token, it is one while others use the cores: each meeting would wait until
    /// the last thread has one.
    pub(crate) fn reading(&self, meetings: Meetings) -> usize {
        let alone = meetings == Meetings::Token && self.adapts && self.most > 1 && contended();
        if alone { 1 } else { self.most }
    }

    /// Whether others were seen on the cores.
    pub(crate) fn busy(&self) -> bool {
        self.busy
    }

    /// Takes note of a token that began then.
    pub(crate) fn token(&mut self, from: Instant) {
        self.since.tokens += 1;
        self.since.time += from.elapsed();
        if self.most < 2 || self.since.tokens < TOKENS || self.since.time < TIME {
            return;
        }
        let last = std::mem::replace(&mut self.since, Since::now());
        let time = last.time.as_secs_f64();
        let rate = (self.since.interruptions - last.interruptions) as f64 / time;
        self.judge(rate > BUSY, time / f64::from(last.tokens));
    }

    /// What the last tokens say: whether others took cores away, and the seconds that a token took.
    fn judge(&mut self, interrupted: bool, seconds: f64) {
        self.busy |= interrupted;
        if let Some(trial) = self.trial.take() {
            if seconds <= FASTER * trial.seconds {
                self.pause = PAUSE;
                return;
            }
            self.active = trial.active;
            self.down = !self.down;
            self.rest = self.pause;
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            return;
        }
        if !self.adapts || (self.active == self.most && !interrupted) {
            return;
        }
        if !interrupted {
            self.rest = self.rest.min(PAUSE);
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.trial = Some(Trial {
            active: self.active,
            seconds,
        });
        self.down = self.active == self.most || (self.down && interrupted && self.active > 1);
        self.active = if self.down {
            self.active / 2
        } else {
            (2 * self.active).min(self.most)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads after so many judgements on a machine where a token takes as long as `seconds` says.
    fn after(watch: &mut Watch, judgements: usize, interrupted: bool, seconds: impl Fn(usize) -> f64) -> usize {
        for _ in 0..judgements {
            watch.judge(interrupted, seconds(watch.active));
        }
        watch.active
    }

    #[test]
    fn threads_that_are_left_alone_all_go_on() {
        let mut watch = Watch::new(2, true);
        assert_eq!(after(&mut watch, 1000, false, |_| 1.0), 2);
        assert!(!watch.busy());
    }

    #[test]
    fn fewer_threads_go_on_where_that_is_faster_and_all_again_afterwards() {
        let mut watch = Watch::new(8, true);
        let contended = |threads: usize| 1.0 + threads as f64;
        let mut spent = [0; 9];
        for _ in 0..2000 {
            spent[watch.active] += 1;
            watch.judge(true, contended(watch.active));
        }
        assert!(spent[1] > 1900, "{spent:?}");
        after(&mut watch, 2 * PAUSE as usize + 10, false, |threads| {
            1.0 / threads as f64
        });
        assert_eq!(after(&mut watch, 30, false, |threads| 1.0 / threads as f64), 8);
    }

    #[test]
    fn what_is_not_faster_is_hardly_tried() {
        let mut watch = Watch::new(2, true);
        let mut with_one = 0;
        for _ in 0..2000 {
            with_one += usize::from(watch.active == 1);
            watch.judge(true, 1.0 / watch.active as f64);
        }
        assert!(with_one < 20, "{with_one}");
    }

    #[test]
    fn a_number_that_was_asked_for_stays() {
        let mut watch = Watch::new(2, false);
        assert_eq!(after(&mut watch, 100, true, |threads| threads as f64), 2);
        assert!(watch.busy());
    }
}
