//! What expressions of a policy are about: numbers of a cache, an entry, a channel.

use super::{
    attend::Attend,
    elementwise::{apply_binary, apply_unary},
    governed::{At, HeadCache},
};
use crate::{
    BinaryOp, PairDomain, PairExpr, PairLeaf, UnaryOp,
    policy::{COUNTERS, ENDED, ENTRIES, MEMORIES, Policy, READING, SLOT},
};

/// One key head at one token.
pub(super) struct HeadStep<'a> {
    pub(super) attend: &'a Attend,
    pub(super) policy: &'a Policy,
    pub(super) head: usize,
    pub(super) at: At,
    pub(super) cache: &'a mut HeadCache,
    /// The counters' new values.
    pub(super) counters: Vec<f64>,
    /// Numbers of each entry or channel.
    pub(super) definitions: Vec<Vec<f64>>,
}

impl HeadStep<'_> {
    /// A function of numbers of the cache.
    pub(super) fn number(&self, expr: &PairExpr) -> f64 {
        Place {
            step: self,
            slot: None,
            channel: None,
            now: self.at.position,
            score: 0.0,
        }
        .value(expr)
    }

    /// A function of an entry and a query at position `now`.
    pub(super) fn of_entry(&self, expr: &PairExpr, slot: usize, now: usize, score: f64) -> f64 {
        Place {
            step: self,
            slot: Some(slot),
            channel: None,
            now,
            score,
        }
        .value(expr)
    }

    pub(super) fn of_channel(&self, expr: &PairExpr, channel: usize, number: f64, slot: Option<usize>) -> f64 {
        Place {
            step: self,
            slot,
            channel: Some(channel),
            now: self.at.position,
            score: number,
        }
        .value(expr)
    }
}

/// What a policy's expression is about.
struct Place<'a, 'b> {
    step: &'a HeadStep<'b>,
    slot: Option<usize>,
    channel: Option<usize>,
    now: usize,
    score: f64,
}

impl Place<'_, '_> {
    fn number_of_cache(&self, n: usize) -> f64 {
        let at = self.step.at;
        let after = |shift: usize| at.prompt.is_some_and(|p| at.position + shift == p);
        match n {
            ENTRIES => self.step.cache.entries.len() as f64,
            READING => f64::from(at.prompt.is_none_or(|p| at.position + 1 < p)),
            ENDED => f64::from(after(1)),
            n => self.step.counters[n - COUNTERS],
        }
    }

    fn number_of_entry(&self, n: usize) -> f64 {
        let memories = self.step.policy.memories.len();
        if n >= MEMORIES + memories {
            let definition = n - MEMORIES - memories;
            let channels = self.step.policy.definitions[definition].kind.of_channels();
            let place = if channels { self.channel } else { self.slot };
            return place.map_or(0.0, |at| self.step.definitions[definition][at]);
        }
        match (n, self.slot, self.channel) {
            (SLOT, _, Some(channel)) => channel as f64,
            (SLOT, Some(slot), _) => slot as f64,
            (n, Some(slot), _) => self.step.cache.entries[slot].memories[n - MEMORIES],
            (_, None, _) => 0.0,
        }
    }
}

impl PairDomain for Place<'_, '_> {
    type Value = f64;

    fn leaf(&mut self, leaf: PairLeaf) -> f64 {
        match leaf {
            PairLeaf::Score => self.score,
            PairLeaf::QueryPos => self.now as f64,
            PairLeaf::KeyPos => self
                .slot
                .map_or(0.0, |slot| self.step.cache.entries[slot].position as f64),
            PairLeaf::Head => self.step.head as f64,
            PairLeaf::QueryStream(n) => self.number_of_cache(n),
            PairLeaf::KeyStream(n) => self.number_of_entry(n),
            PairLeaf::Const(c) => c,
        }
    }

    fn unary(&mut self, op: UnaryOp, x: f64) -> f64 {
        apply_unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, x: f64, y: f64) -> f64 {
        apply_binary(op, false, x, y)
    }

    fn select(&mut self, c: f64, a: f64, b: f64) -> f64 {
        if c != 0.0 { a } else { b }
    }

    /// Policies have no tables.
    fn table(&mut self, _: usize, _: Vec<f64>) -> f64 {
        0.0
    }
}
