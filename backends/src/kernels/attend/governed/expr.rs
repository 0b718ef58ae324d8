//! Expressions of a policy in the coordinates of kernels: the position of a key is its slot, that of a query the slot of its token.

use super::Governed;
use seqc_ir::{
    BinaryOp, PairExpr, PairLeaf, UnaryOp,
    policy::{COUNTERS, ENDED, ENTRIES, MEMORIES, READING, SLOT},
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

    /// Arrays with a number for each entry: positions where slots are none, slots where entries lie in any order, memories, definitions, and two for what is being
    /// computed where entries leave.
    pub fn streams(&self) -> usize {
        self.first_memory()
            + self.policy.memories.len()
            + self.policy.definitions.len()
            + 2 * usize::from(self.evicts())
    }

    pub(super) fn first_memory(&self) -> usize {
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

    /// The first of the two arrays for what is being computed.
    pub(super) fn temporary(&self) -> usize {
        self.stream_of(self.policy.definitions.len())
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
            other => other.into(),
        })
    }

    /// An expression of the policy where the head is that of a query.
    pub(super) fn of_query(&self, expr: &PairExpr) -> PairExpr {
        let ratio = PairExpr::Const(self.attend.ratio() as f64);
        let head = PairExpr::unary(UnaryOp::Floor, PairExpr::binary(BinaryOp::Div, PairExpr::Head, ratio));
        self.of_entry(expr).substitute(&|leaf| match leaf {
            PairLeaf::Head => head.clone(),
            other => other.into(),
        })
    }

    /// An expression of the policy.
    pub(super) fn of_entry(&self, expr: &PairExpr) -> PairExpr {
        let one = PairExpr::Const(1.0);
        expr.substitute(&|leaf| match leaf {
            PairLeaf::QueryPos => self.position_of_query(),
            PairLeaf::KeyPos => self.position_of_key(),
            PairLeaf::QueryStream(ENTRIES) => PairExpr::binary(BinaryOp::Add, PairExpr::QueryPos, one.clone()),
            PairLeaf::QueryStream(READING) => self.number(FOLLOWED),
            PairLeaf::QueryStream(ENDED) => self.number(LAST),
            PairLeaf::QueryStream(n) => self.number(FIRST_COUNTER + n - COUNTERS),
            PairLeaf::KeyStream(SLOT) => self.slot(),
            PairLeaf::KeyStream(n) => PairExpr::KeyStream(self.first_memory() + n - MEMORIES),
            other => other.into(),
        })
    }
}
