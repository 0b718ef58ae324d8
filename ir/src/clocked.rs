//! Layers that run at some tokens only.
//!
//! Between calls there are streams of several clocks: those of all tokens, and for every [`Clocked`] part of a model those of its ticks. Streams
//! cross from one to the other where the part begins ([`Enter`]) and where it ends ([`Leave`]), and nowhere else.

use crate::{Model, StreamId};
use std::{collections::HashSet, fmt, ops::Range};

/// Calls that run at some tokens only, the *ticks*: those at which a condition holds. To these calls there are no other tokens: positions count
/// ticks, and what a layer carries it carries from tick to tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocked {
    /// Path for messages and the state manifest: `layers.3.clock`.
    pub name: String,
    /// One number at every token, not 0 at ticks.
    pub condition: StreamId,
    /// The calls. Other clocked parts may lie among them: they tick at some of these ticks.
    pub calls: Range<usize>,
    /// Streams from outside that the calls read.
    pub enter: Vec<Enter>,
    /// Streams of the calls that are read outside.
    pub leave: Vec<Leave>,
}

/// A stream at ticks only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enter {
    /// The stream outside.
    pub from: StreamId,
    /// Its values at ticks.
    pub to: StreamId,
}

/// A stream at every token, of one that has values at ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The stream with a value at each tick.
    pub from: StreamId,
    /// The stream outside.
    pub to: StreamId,
    /// What it is at other tokens.
    pub between: Between,
}

/// What a stream is at tokens that are no ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Its value at the last tick; 0 before the first.
    Hold,
    /// 0.
    Zero,
    /// The value of a stream outside at this token.
    Pass(StreamId),
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Between::Hold => f.write_str("hold"),
            Between::Zero => f.write_str("zero"),
            Between::Pass(stream) => write!(f, "pass {stream}"),
        }
    }
}

/// A part of the order in which calls run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Calls at the same tokens, one after another.
    Calls(Range<usize>),
    /// The clocked part of this number, with its steps.
    Clocked(usize, Vec<Step>),
}

impl Model {
    /// Some calls in the order in which they run, from one to another that lie outside of clocked parts or at their edges.
    pub fn steps(&self, calls: Range<usize>) -> Vec<Step> {
        self.steps_of(calls, &mut 0)
    }

    /// The same from clocked part `next` on, which is moved behind the last one that begins among the calls.
    fn steps_of(&self, calls: Range<usize>, next: &mut usize) -> Vec<Step> {
        let (mut steps, mut at) = (Vec::new(), calls.start);
        while let Some(part) = self.clocked.get(*next).filter(|part| part.calls.start < calls.end) {
            let number = *next;
            *next += 1;
            if part.calls.start < at {
                continue;
            }
            if at < part.calls.start {
                steps.push(Step::Calls(at..part.calls.start));
            }
            steps.push(Step::Clocked(number, self.steps_of(part.calls.clone(), next)));
            at = part.calls.end;
        }
        if at < calls.end {
            steps.push(Step::Calls(at..calls.end));
        }
        steps
    }

    /// Streams that have values at the ticks of some clocked part, and none at other tokens.
    pub fn streams_of_ticks(&self) -> HashSet<StreamId> {
        let mut found = HashSet::new();
        for part in &self.clocked {
            found.extend(part.enter.iter().map(|enter| enter.to));
            found.extend(self.calls[part.calls.clone()].iter().flat_map(|call| &call.results));
        }
        for (n, part) in self.clocked.iter().enumerate() {
            let around = &self.clocked[..n];
            if around.iter().any(|around| part.calls.end <= around.calls.end) {
                found.extend(part.leave.iter().map(|leave| leave.to));
            }
        }
        found
    }
}
