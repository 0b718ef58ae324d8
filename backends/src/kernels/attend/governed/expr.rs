//! Expressions of a policy in the coordinates of kernels: the position of a key is its slot, that of a query the slot of its token.

use super::Governed;
use seqc_ir::{
    BinaryOp, PairExpr, PairLeaf, UnaryOp,
    policy::{CHANNEL, COUNTERS, ENDED, ENTRIES, MEMORIES, RANK, READING, SHOWN, SLOT},
};

/// Numbers of the cache at each row, behind the query streams of the layer: the token's position.
pub(super) const POSITION: usize = 0;
/// More tokens of the prompt follow.
pub(super) const FOLLOWED: usize = 1;
/// The token is the last one of the prompt.
pub(super) const LAST: usize = 2;
/// The array of slots, where they are numbers of entries: behind the positions.
pub(super) const RANKS: usize = 1;
/// The first counter.
pub(super) const FIRST_COUNTER: usize = 3;

impl Governed<'_> {
    /// How many numbers the cache has at each row.
    pub fn numbers(&self) -> usize {
        FIRST_COUNTER + self.policy.counters.len()
    }

    /// Arrays with a number for each entry: positions where slots are none, slots where entries lie in any order, what keys bring along, memories, definitions, and two for what is being
    /// computed where entries leave.
    pub fn streams(&self) -> usize {
        self.first_memory()
            + self.policy.memories.len()
            + self.policy.definitions.len()
            + 2 * usize::from(self.evicts())
    }

    pub(super) fn first_memory(&self) -> usize {
        self.first_brought() + self.attend.spec.key_streams
    }

    /// The first array of what keys bring along: the streams that the layer reads at the key.
    pub(super) fn first_brought(&self) -> usize {
        usize::from(self.evicts()) + usize::from(self.ranks())
    }

    /// Whether slots are numbers of entries, which lie in any order: so that a few that leave need not move all others.
    pub(super) fn ranks(&self) -> bool {
        let slots = |e: &PairExpr| e.any(&|e| matches!(e, PairExpr::KeyStream(SLOT)));
        self.evicts() && !self.ordered() && self.policy.expressions().into_iter().any(slots)
    }

    /// The slot of an entry.
    pub(super) fn slot(&self) -> PairExpr {
        if self.ranks() {
            PairExpr::KeyStream(RANKS)
        } else {
            PairExpr::KeyPos
        }
    }

    /// The array of a definition.
    pub(super) fn stream_of(&self, definition: usize) -> usize {
        self.first_memory() + self.policy.memories.len() + definition
    }

    /// What sights read of an entry behind its numbers: what its block was chosen by, and the entries that are seen before it.
    pub(super) fn choice_streams(&self) -> usize {
        let choosing = self.policy.blocks.as_ref().map_or(0, |b| b.choosing.len());
        self.streams() + choosing + 1
    }

    fn rank_stream(&self) -> usize {
        self.choice_streams() - 1
    }

    /// The array of a memory or definition, or what sights read of a block.
    fn array_or_choice(&self, n: usize) -> PairExpr {
        let chosen = n.checked_sub(self.policy.choosing_stream(0));
        PairExpr::KeyStream(match chosen {
            Some(chosen) => self.streams() + chosen,
            None => self.first_memory() + n - MEMORIES,
        })
    }

    fn position_of_query(&self) -> PairExpr {
        if self.evicts() {
            self.number(POSITION)
        } else {
            PairExpr::QueryPos
        }
    }

    fn position_of_key(&self) -> PairExpr {
        if self.evicts() {
            PairExpr::KeyStream(0)
        } else {
            PairExpr::KeyPos
        }
    }

    fn number(&self, n: usize) -> PairExpr {
        PairExpr::QueryStream(self.attend.spec.query_streams + n)
    }

    /// An expression of the layer: its predicate, its score.
    pub(super) fn of_layer(&self, expr: &PairExpr) -> PairExpr {
        expr.substitute(&|leaf| match leaf {
            PairLeaf::QueryPos => self.position_of_query(),
            PairLeaf::KeyPos => self.position_of_key(),
            PairLeaf::KeyStream(n) => PairExpr::KeyStream(self.first_brought() + n),
            other => other.into(),
        })
    }

    /// An expression of the policy where the head is that of a query.
    pub(super) fn of_query(&self, expr: &PairExpr) -> PairExpr {
        self.in_coordinates(expr, &|leaf| match leaf {
            PairLeaf::Head => self.head_of_query(),
            other => self.leaf_of_entry(other),
        })
    }

    /// An expression of the policy.
    pub(super) fn of_entry(&self, expr: &PairExpr) -> PairExpr {
        self.in_coordinates(expr, &|leaf| self.leaf_of_entry(leaf))
    }

    /// The key head of the query head at hand.
    pub(super) fn head_of_query(&self) -> PairExpr {
        let ratio = PairExpr::Const(self.attend.ratio() as f64);
        PairExpr::unary(UnaryOp::Floor, PairExpr::binary(BinaryOp::Div, PairExpr::Head, ratio))
    }

    fn leaf_of_entry(&self, leaf: PairLeaf) -> PairExpr {
        match leaf {
            PairLeaf::KeyPos => self.position_of_key(),
            PairLeaf::KeyStream(SLOT) => self.slot(),
            PairLeaf::KeyStream(RANK) => PairExpr::KeyStream(self.rank_stream()),
            // Where channels are, their number stands behind the arrays.
            PairLeaf::KeyStream(CHANNEL) => PairExpr::KeyStream(self.streams()),
            PairLeaf::KeyStream(n) => self.array_or_choice(n),
            other => other.into(),
        }
    }

    /// An expression whose numbers of the cache are those of a row; `own` is what the head and the leaves of keys are.
    pub(super) fn in_coordinates(&self, expr: &PairExpr, own: &dyn Fn(PairLeaf) -> PairExpr) -> PairExpr {
        let one = PairExpr::Const(1.0);
        expr.substitute(&|leaf| match leaf {
            PairLeaf::QueryPos => self.position_of_query(),
            PairLeaf::QueryStream(ENTRIES) => PairExpr::binary(BinaryOp::Add, PairExpr::QueryPos, one.clone()),
            PairLeaf::QueryStream(READING) => self.number(FOLLOWED),
            PairLeaf::QueryStream(ENDED) => self.number(LAST),
            PairLeaf::QueryStream(SHOWN) => self.number(self.numbers()),
            PairLeaf::QueryStream(n) => self.number(FIRST_COUNTER + n - COUNTERS),
            PairLeaf::KeyPos | PairLeaf::KeyStream(_) | PairLeaf::Head => own(leaf),
            PairLeaf::Score | PairLeaf::Const(_) => leaf.into(),
        })
    }
}
