//! What expressions of a policy are about: numbers of a cache, an entry, a channel.

use super::{
    attend::Attend,
    elementwise::{apply_binary, apply_unary},
    governed::{At, HeadCache},
};
use crate::{
    BinaryOp, PairDomain, PairExpr, PairLeaf, UnaryOp,
    policy::{CHANNEL, CLOSED, COUNTERS, ENDED, ENTRIES, KEY, Kind, MEMORIES, Policy, RANK, READING, SHOWN, SLOT},
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

/// What an expression of a policy is about, beside the cache.
#[derive(Clone, Copy, Default)]
pub(super) struct About<'n> {
    pub(super) slot: Option<usize>,
    pub(super) channel: Option<usize>,
    /// Position of the query; that of the token unless given.
    pub(super) now: Option<usize>,
    /// The weight, or the number of a vector.
    pub(super) score: f64,
    /// The number of a key that a query meets.
    pub(super) key: f64,
    /// Number of the query head among those that share the key head.
    pub(super) member: usize,
    /// The block.
    pub(super) block: Option<usize>,
    /// Values of [`crate::policy::Blocks::closing`] that are known.
    pub(super) closing: &'n [Vec<f64>],
    /// Values of [`crate::policy::Blocks::choosing`] that are known, of each block.
    pub(super) choosing: &'n [Vec<f64>],
    /// Entries that a sight shows before this one, and in all.
    pub(super) counts: [usize; 2],
    /// The entry's block is closed.
    pub(super) closed: bool,
}

impl HeadStep<'_> {
    /// The value of an expression.
    pub(super) fn value(&self, expr: &PairExpr, about: About<'_>) -> f64 {
        Place { step: self, about }.value(expr)
    }

    /// A function of numbers of the cache.
    pub(super) fn number(&self, expr: &PairExpr) -> f64 {
        self.value(expr, About::default())
    }

    /// A function of an entry and a query at position `now`.
    pub(super) fn of_entry(&self, expr: &PairExpr, slot: usize, now: usize, score: f64) -> f64 {
        let about = About {
            slot: Some(slot),
            now: Some(now),
            score,
            ..About::default()
        };
        self.value(expr, about)
    }

    pub(super) fn of_channel(&self, expr: &PairExpr, channel: usize, number: f64, slot: Option<usize>) -> f64 {
        let about = About {
            slot,
            channel: Some(channel),
            score: number,
            ..About::default()
        };
        self.value(expr, about)
    }
}

/// What a policy's expression is about.
struct Place<'a, 'b, 'n> {
    step: &'a HeadStep<'b>,
    about: About<'n>,
}

impl Place<'_, '_, '_> {
    fn number_of_cache(&self, n: usize) -> f64 {
        let at = self.step.at;
        let after = |shift: usize| at.prompt.is_some_and(|p| at.position + shift == p);
        match n {
            ENTRIES => self.step.cache.entries.len() as f64,
            READING => f64::from(at.prompt.is_none_or(|p| at.position + 1 < p)),
            ENDED => f64::from(after(1)),
            SHOWN => self.about.counts[1] as f64,
            n => self.step.counters[n - COUNTERS],
        }
    }

    fn number_of_entry(&self, n: usize) -> f64 {
        let (policy, about) = (self.step.policy, &self.about);
        let of = |values: &Vec<f64>, kind: &Kind| {
            let place = match kind {
                kind if kind.of_all() => Some(0),
                kind if kind.of_channels() => about.channel,
                _ => about.slot,
            };
            place.map_or(0.0, |at| values[at])
        };
        match n {
            SLOT => about.slot.or(about.block).unwrap_or(0) as f64,
            CHANNEL => about.channel.unwrap_or(0) as f64,
            RANK => about.counts[0] as f64,
            KEY => about.key,
            CLOSED => f64::from(about.closed),
            n if n >= policy.choosing_stream(0) => {
                let definition = n - policy.choosing_stream(0);
                let values = about.choosing.get(definition);
                let kinds = policy.blocks.as_ref().map(|b| &b.choosing);
                let channels = kinds.is_some_and(|all| all[definition].kind.of_channels());
                let at = if channels { about.channel } else { about.block };
                at.and_then(|at| values?.get(at)).copied().unwrap_or(0.0)
            }
            n if n >= policy.closing_stream(0) => self.number_of_block(n - policy.closing_stream(0)),
            n if n >= policy.stream_of(0) => {
                let definition = n - policy.stream_of(0);
                of(&self.step.definitions[definition], &policy.definitions[definition].kind)
            }
            n => about.slot.map_or(0.0, |slot| {
                let values = &self.step.cache.entries[slot].memories[n - MEMORIES];
                *values.get(about.member).unwrap_or(&values[0])
            }),
        }
    }

    /// A value of [`crate::policy::Blocks::closing`]: of the block, of a channel, or of an entry of the block.
    fn number_of_block(&self, definition: usize) -> f64 {
        let (policy, about) = (self.step.policy, &self.about);
        let (Some(blocks), Some(values)) = (&policy.blocks, about.closing.get(definition)) else {
            return 0.0;
        };
        let kind = &blocks.closing[definition].kind;
        let at = match kind {
            Kind::Over { .. } => Some(0),
            kind if kind.of_channels() => about.channel,
            _ => about.slot.map(|slot| (slot - blocks.first) % blocks.size),
        };
        at.and_then(|at| values.get(at)).copied().unwrap_or(0.0)
    }
}

impl PairDomain for Place<'_, '_, '_> {
    type Value = f64;

    fn leaf(&mut self, leaf: PairLeaf) -> f64 {
        match leaf {
            PairLeaf::Score => self.about.score,
            PairLeaf::QueryPos => self.about.now.unwrap_or(self.step.at.position) as f64,
            PairLeaf::KeyPos => self
                .about
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

    /// Nor lists.
    fn listed(&mut self, _: usize, _: f64) -> f64 {
        0.0
    }

    fn after(&mut self, _: f64) -> f64 {
        0.0
    }
}
