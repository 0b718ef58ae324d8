//! What an expression of a policy may read where it stands.

use super::typed::{self, Typed};
use crate::{
    BinaryOp, PairDomain, PairExpr, PairLeaf, UnaryOp,
    policy::{CHANNEL, CLOSED, COUNTERS, KEY, Kind, MEMORIES, Policy, RANK, SHOWN},
};

/// What expressions may read.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) policy: &'a Policy,
    /// Definitions that come before.
    pub(super) definitions: usize,
    /// Those of [`Blocks::closing`].
    pub(super) closing: usize,
    /// Those of [`Blocks::choosing`].
    pub(super) choosing: usize,
    pub(super) entry: bool,
    pub(super) channel: bool,
    pub(super) block: bool,
    /// A query meets a key.
    pub(super) key: bool,
    /// A query head is at hand.
    pub(super) query_head: bool,
    /// A sight is, whose entries are counted.
    pub(super) seen: bool,
    pub(super) score: bool,
}

impl Scope<'_> {
    /// Whether a stream is a definition with a number for each channel.
    pub(super) fn is_of_channels(&self, n: usize) -> bool {
        let policy = self.policy;
        let closing = policy.blocks.iter().flat_map(|b| &b.closing);
        let mut definitions = policy.definitions.iter().chain(closing);
        let at = n.checked_sub(policy.stream_of(0));
        at.and_then(|at| definitions.nth(at))
            .is_some_and(|d| d.kind.of_channels())
    }

    pub(super) fn number(mut self, e: &PairExpr) -> Result<(), String> {
        match self.value(e)? {
            true => Err("a truth value is no number".to_owned()),
            false => Ok(()),
        }
    }

    pub(super) fn truth(mut self, e: &PairExpr) -> Result<(), String> {
        // 0 and 1 are what is known of a condition.
        match self.value(e)? || matches!(e, PairExpr::Const(_)) {
            true => Ok(()),
            false => Err("a number is no truth value".to_owned()),
        }
    }

    fn reads(&self, n: usize) -> Result<(), String> {
        let there = |known: bool| {
            known
                .then_some(())
                .ok_or_else(|| format!("number {n} is read where it is not there"))
        };
        if n == RANK {
            return there(self.seen);
        }
        if n == CLOSED {
            return there(self.seen && self.block);
        }
        if n == KEY {
            return there(self.key);
        }
        if n == CHANNEL {
            return there(self.channel);
        }
        let policy = self.policy;
        let Some(memory) = n.checked_sub(MEMORIES) else {
            return there(self.entry || (self.block && !self.channel));
        };
        if let Some(memory) = policy.memories.get(memory) {
            return there(self.entry && (self.query_head || !memory.each));
        }
        let blocks = policy.blocks.as_ref();
        let none = Vec::new();
        let (closing, choosing) = blocks.map_or((&none, &none), |b| (&b.closing, &b.choosing));
        let [at, closed, chosen] = [policy.stream_of(0), policy.closing_stream(0), policy.choosing_stream(0)]
            .map(|first| n.checked_sub(first));
        if let Some(definition) = chosen {
            let at_hand = match choosing.get(definition).map(|d| &d.kind) {
                Some(kind) if kind.of_channels() => self.channel,
                Some(kind) if kind.of_all() => self.block || !self.channel,
                _ => self.block,
            };
            return there(definition < self.choosing && definition < choosing.len() && at_hand);
        }
        if let Some(definition) = closed {
            let kind = &closing[definition].kind;
            let at_hand = match kind {
                Kind::Over { .. } => self.block,
                kind if kind.of_channels() => self.channel && self.block,
                _ => self.entry && !self.seen,
            };
            return there(definition < self.closing && at_hand);
        }
        let definition = at.unwrap_or(0);
        let kind = &policy.definitions[definition].kind;
        let at_hand = match kind {
            kind if kind.of_all() => true,
            kind if kind.of_channels() => self.channel,
            _ => self.entry,
        };
        there(definition < self.definitions && at_hand)
    }
}

impl PairDomain for Scope<'_> {
    type Value = Typed;

    fn leaf(&mut self, leaf: PairLeaf) -> Typed {
        match leaf {
            PairLeaf::Score if !self.score => Err("there is no weight or number".to_owned()),
            PairLeaf::KeyPos if !self.entry => Err("there is no entry".to_owned()),
            PairLeaf::QueryStream(SHOWN) if !self.seen => Err("nothing is counted".to_owned()),
            PairLeaf::QueryStream(n) if n >= COUNTERS + self.policy.counters.len() => {
                Err(format!("there is no counter {n}"))
            }
            PairLeaf::KeyStream(n) => self.reads(n).map(|()| false),
            PairLeaf::Score
            | PairLeaf::QueryPos
            | PairLeaf::KeyPos
            | PairLeaf::Head
            | PairLeaf::QueryStream(_)
            | PairLeaf::Const(_) => Ok(false),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Typed) -> Typed {
        typed::unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, x: Typed, y: Typed) -> Typed {
        typed::binary(op, x, y)
    }

    fn select(&mut self, c: Typed, a: Typed, b: Typed) -> Typed {
        typed::select(c, a, b)
    }

    fn table(&mut self, _: usize, _: Vec<Typed>) -> Typed {
        Err("policies have no tables".to_owned())
    }

    fn listed(&mut self, _: usize, _: Typed) -> Typed {
        Err("policies have no lists".to_owned())
    }

    fn after(&mut self, _: Typed) -> Typed {
        Err("policies have no sums over later keys".to_owned())
    }
}
