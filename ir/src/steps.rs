//! The order in which the calls of a model run.

use crate::{Model, StreamId};
use std::{collections::HashSet, ops::Range};

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
