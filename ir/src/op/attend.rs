//! Parameters of attention: which keys a query sees, how scores become weights, which operand is what.

use super::policy::Policy;
use crate::PairExpr;
use seqc_formats::Encoding;
use std::ops::{Range, RangeInclusive};

/// Represents the logarithm of zero, and the score of an absent key.
pub const UNSEEN: f64 = -1e30;

/// Parameters of [`Op::Attend`](crate::Op::Attend).
#[derive(Clone, Debug, PartialEq)]
pub struct AttendSpec {
    /// Factor on the dot product.
    pub scale: f64,
    /// Which keys a query sees (beside causality); `None`: all.
    pub predicate: Option<PairExpr>,
    /// Function of the scaled product; `None`: itself.
    pub score: Option<PairExpr>,
    /// How scores become weights.
    pub normaliser: Normaliser,
    /// Of [`Normaliser::Top`]: so many neighbouring query heads, which share a key head, choose together: a key's score is the sum of
    /// theirs, and a key that one of them does not see is none. Otherwise 1.
    pub together: usize,
    /// Keys after the query are excluded. False only in models that read a whole sequence, and of [`Clock::Memory`].
    pub causal: bool,
    /// Which tokens are keys, and which are queries.
    pub clock: Clock,
    /// The logarithm of the sum of exponentials is one more column of the result. Softmax only.
    pub log_sum: bool,
    /// How keys and values are kept: each entry is the nearest number of this encoding, which holds numbers by themselves.
    pub stored: Encoding,
    /// What the cache keeps, and how; `None`: every key that later queries can see. The last operand is the angles of [`Policy::turn`].
    pub policy: Option<Box<Policy>>,
    /// Number of operands that are read at the query token.
    pub query_streams: usize,
    /// Number of operands that are read at the key token.
    pub key_streams: usize,
    /// Number of tables, tensors of the load stage that [`PairExpr::Table`] reads.
    pub tables: usize,
}

impl Default for AttendSpec {
    /// Causal softmax attention over all tokens, without scale.
    fn default() -> AttendSpec {
        AttendSpec {
            scale: 1.0,
            predicate: None,
            score: None,
            normaliser: Normaliser::Softmax,
            together: 1,
            causal: true,
            clock: Clock::Every,
            log_sum: false,
            stored: Encoding::F32,
            policy: None,
            query_streams: 0,
            key_streams: 0,
            tables: 0,
        }
    }
}

impl AttendSpec {
    /// True when there are values: operand 2.
    pub fn has_values(&self) -> bool {
        !matches!(self.normaliser, Normaliser::Top(_))
    }

    /// What the score sums over the keys behind a key, each once.
    pub fn sums_behind(&self) -> Vec<&PairExpr> {
        self.score.as_ref().map_or(Vec::new(), PairExpr::sums_behind)
    }

    /// Number of the operand `on`, where there is one.
    pub fn on(&self) -> Option<usize> {
        let place = if self.has_values() { 3 } else { 2 };
        self.clock.has_ticks().then_some(place)
    }

    /// Numbers of the operands that are read at the key token: `k`, `v`, and the key streams.
    pub fn read_at_keys(&self) -> impl Iterator<Item = usize> {
        (1..2 + usize::from(self.has_values())).chain(self.key_operands())
    }

    /// Number of the first query stream, after `q`, `k`, `v` and `on`.
    fn first_stream(&self) -> usize {
        2 + usize::from(self.has_values()) + usize::from(self.clock.has_ticks())
    }

    /// Numbers of the operands that are query streams.
    pub fn query_operands(&self) -> Range<usize> {
        let first = self.first_stream();
        first..first.saturating_add(self.query_streams)
    }

    /// Numbers of the operands that are key streams.
    pub fn key_operands(&self) -> Range<usize> {
        let first = self.query_operands().end;
        first..first.saturating_add(self.key_streams)
    }

    /// Numbers of the operands that are tables, the last ones.
    pub fn table_operands(&self) -> Range<usize> {
        let first = self.key_operands().end;
        first..first.saturating_add(self.tables)
    }

    /// Number of the operand with the angles of rotary positions, where the policy turns queries and keys.
    pub fn angles(&self) -> Option<usize> {
        let turn = self.policy.as_ref().and_then(|policy| policy.turn);
        turn.map(|_| self.table_operands().end)
    }

    /// Number of operands.
    pub fn arity(&self) -> RangeInclusive<usize> {
        let n = self.table_operands().end + usize::from(self.angles().is_some());
        n..=n
    }

    /// Sizes of the result for `heads` query heads and values of `width` entries.
    pub fn result(&self, heads: usize, width: usize) -> Vec<usize> {
        match self.normaliser {
            Normaliser::Top(n) => vec![heads / self.together.max(1), 2, n],
            _ => vec![heads, width + usize::from(self.log_sum)],
        }
    }
}

/// Which tokens take part in an attention. Where an operand `on` says it, positions count *ticks*, the tokens where it
/// holds: the position of a key is its number among them, from 0; that of a query is the number of ticks up to its
/// token and including it, less 1 (-1 before the first).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Clock {
    /// All tokens are keys and queries; there is no `on`.
    #[default]
    Every,
    /// Keys are ticks, queries all tokens.
    Keys,
    /// Keys and queries are ticks; what other tokens get is what a query gets that sees no key.
    Both,
    /// Keys are the rows of another sequence, the memory, which are all there before the first token; queries are all tokens, and see
    /// all rows. The position of a key is the number of its row, that of a query the position of its token. Operands that are read at
    /// the key are inputs of the graph, which have a value for each row and none at a token.
    Memory,
}

impl Clock {
    /// Whether an operand `on` says which tokens tick.
    pub fn has_ticks(self) -> bool {
        matches!(self, Clock::Keys | Clock::Both)
    }
}

/// How the scores of the admitted keys become weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normaliser {
    /// `exp(s_j) / sum exp(s)`.
    Softmax,
    /// `s_j / sum s` (0 when the sum is 0).
    Sum,
    /// `s_j`.
    None,
    /// No weights: the best keys. The result is `[H, 2, n]`, where heads choose together ([`AttendSpec::together`]) that of the heads that
    /// choose: `[h, 0, m]` is the `m`-th largest score, `[h, 1, m]` the position of its key, of equal scores that of the earlier key first. Where there are fewer keys: [`UNSEEN`] and
    /// -1. A score of minus infinity is the same as a key that is not seen.
    Top(usize),
}
