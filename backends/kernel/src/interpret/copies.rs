//! Copies that arrive in the memory of a block when a member waits for them.

use std::collections::VecDeque;

/// A copy under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub(super) to: u64,
    pub(super) from: u64,
    /// Bytes that are read.
    pub(super) count: usize,
    /// Bytes that are written, zeros behind those.
    pub(super) bytes: usize,
}

/// Copies of a member that it did not wait for yet.
#[derive(Debug, Default)]
pub(super) struct Copies {
    groups: VecDeque<Vec<Copy>>,
    /// Those of no group yet.
    open: Vec<Copy>,
}

impl Copies {
    /// Whether one is under way.
    pub(super) fn are_left(&self) -> bool {
        !self.open.is_empty() || self.groups.iter().any(|group| !group.is_empty())
    }

    /// One more.
    pub(super) fn start(&mut self, copy: Copy) {
        self.open.push(copy);
    }

    /// Makes a group of those that were started last.
    pub(super) fn commit(&mut self) {
        let group = std::mem::take(&mut self.open);
        self.groups.push_back(group);
    }

    /// Takes the copies of all groups but the last ones.
    pub(super) fn take_but(&mut self, left: usize) -> Vec<Copy> {
        let count = self.groups.len().saturating_sub(left);
        self.groups.drain(..count).flatten().collect()
    }
}
