//! Laws of clocked parts.

use super::report::Violation;
use crate::{Model, StreamId};
use std::collections::HashMap;

/// Which streams have values at the ticks of which part.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Parts around the call that is looked at, outermost first.
    pub(super) open: Vec<usize>,
    /// Parts that have begun.
    pub(super) begun: usize,
    /// The part of each stream that is not one of all tokens.
    of: HashMap<StreamId, usize>,
}

impl Clocks {
    /// The part at whose ticks a stream has values; `None`: at every token.
    pub(super) fn of(&self, stream: StreamId) -> Option<usize> {
        self.of.get(&stream).copied()
    }

    /// Says that a stream has values where calls run now.
    pub(super) fn place(&mut self, stream: StreamId) {
        if let Some(part) = self.open.last() {
            self.of.insert(stream, *part);
        }
    }

    /// Whether calls that run now read a stream.
    pub(super) fn fits(&self, stream: StreamId) -> bool {
        self.of(stream) == self.open.last().copied()
    }
}

/// Law 21.
pub(super) fn nesting(model: &Model) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut violated = |message: String| {
        violations.push(Violation {
            law: 21,
            graph: model.name.clone(),
            message,
            node: None,
        });
    };
    let mut open: Vec<&std::ops::Range<usize>> = Vec::new();
    let mut last = model.memory.calls;
    for part in &model.clocked {
        let calls = &part.calls;
        if calls.is_empty() || calls.end > model.calls.len() {
            violated(format!(
                "`{}` has the calls {} to {}",
                part.name, calls.start, calls.end
            ));
            continue;
        }
        while open.last().is_some_and(|around| around.end <= calls.start) {
            open.pop();
        }
        let within = open.last().is_none_or(|around| calls.end <= around.end);
        if calls.start < last || !within {
            violated(format!("`{}` is not in order, or divides another one", part.name));
        }
        last = calls.start;
        open.push(calls);
    }
    violations
}
