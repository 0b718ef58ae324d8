//! Cache policies: which entries of a cache are kept, how they are stored, and at which positions queries and keys meet.

pub use super::definition::{Definition, Kind, Window};
use crate::{BinaryOp, PairExpr};

/// What a cache does beside growing. Every key head runs the policy for itself, on entries that it numbers by *slots*, from 0,
/// oldest first. At each token, in this order:
///
/// 1. the [`counters`](Policy::counters) are updated;
/// 2. the token's entry is appended, with its memories at their first values;
/// 3. every query head computes what it chooses [`blocks`](Policy::blocks) by;
/// 4. the query heads that share the key head attend to the entries, each entry in the [`sights`](Policy::sights) that see it;
/// 5. the [`memories`](Policy::memories) are updated with the weights that the entries got;
/// 6. where [`Eviction::at`] holds, the [`definitions`](Policy::definitions) are computed and entries are evicted;
/// 7. entries that have come below [`Coding::until`] are coded, and blocks are closed.
///
/// Expressions have these leaves (see [`leaves`](Policy#leaves) for the numbers of streams):
///
/// # Leaves
///
/// | leaf | is |
/// | --- | --- |
/// | [`PairExpr::QueryPos`] | position of the token |
/// | [`PairExpr::KeyPos`] | position of the entry's token |
/// | [`PairExpr::Head`] | the key head |
/// | [`PairExpr::QueryStream`] | a number of the cache: [`ENTRIES`], [`READING`], [`ENDED`], [`SHOWN`], then the counters: before this token in the counters themselves, else after it |
/// | [`PairExpr::KeyStream`] | a number of the entry, of the channel, or of the block: [`SLOT`], [`RANK`], [`CLOSED`], [`KEY`], [`CHANNEL`], then the memories, the definitions, and those of blocks, [`Blocks::closing`] and [`Blocks::choosing`] |
/// | [`PairExpr::Score`] | in memories, the sum of the weights that the query heads gave the entry, or the weight of [each](Recurrence::each); where there is one, the number of the key, value or query at hand |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Numbers of the cache, updated at every token.
    pub counters: Vec<Recurrence>,
    /// Numbers of each entry, updated by every token from its own on.
    pub memories: Vec<Recurrence>,
    /// What is computed where entries are evicted or channels chosen, in order.
    pub definitions: Vec<Definition>,
    /// Blocks of entries among which queries choose.
    pub blocks: Option<Blocks>,
    /// Which entries leave, and when; `None`: none.
    pub evict: Option<Eviction>,
    /// Sets of entries under one softmax, each with the positions at which query and key meet. An entry that several see counts
    /// as often. Never empty.
    pub sights: Vec<Sight>,
    /// How keys are stored; `None`: as [`AttendSpec::stored`](super::AttendSpec::stored) says.
    pub keys: Option<Coding>,
    /// How values are stored.
    pub values: Option<Coding>,
    /// Queries and keys come as they are before rotary positions, and are turned when they meet; the last operand is the angle
    /// per position of each pair.
    pub turn: Option<Turn>,
}

/// Most tokens whose queries are kept.
pub const MAX_QUERIES: usize = 1024;
/// Number of entries, the token's own included; after the eviction in [`Coding::until`].
pub const ENTRIES: usize = 0;
/// 1 where more tokens of a prompt follow, else 0.
pub const READING: usize = 1;
/// 1 at the last token of a prompt, else 0.
pub const ENDED: usize = 2;
/// Entries that the token sees in the [`Sight`] whose [`Sight::query`] this is.
pub const SHOWN: usize = 3;
/// Counter 0.
pub const COUNTERS: usize = 4;
/// The entry's slot, or the number of the block.
pub const SLOT: usize = 0;
/// Entries before this one that the token sees in the [`Sight`] whose [`Sight::key`] this is.
pub const RANK: usize = 1;
/// In sights, 1 for the entries of blocks that are closed, else 0.
pub const CLOSED: usize = 2;
/// In [`Kind::EntrySum`], the number of the key.
pub const KEY: usize = 3;
/// The number of the channel.
pub const CHANNEL: usize = 4;
/// Memory 0.
pub const MEMORIES: usize = 5;

/// A number that every token updates.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrence {
    /// Its name.
    pub name: String,
    /// The value before the first update.
    pub init: f64,
    /// The next value.
    pub next: PairExpr,
    /// In memories: each query head has its own, updated with the weight that it gave. Only [`Policy::blocks`] read it.
    pub each: bool,
}

/// Consecutive entries, of which queries see those that they choose. Slots are positions: nothing is evicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    /// Entries of a block.
    pub size: usize,
    /// Slot of the first entry of block 0.
    pub first: usize,
    /// Entries that must follow a block before it is closed.
    pub behind: usize,
    /// In a prompt, the queries of so many tokens choose together, from each position on that is a multiple of it; what they choose
    /// holds for all of them. At least 1.
    pub together: usize,
    /// After a prompt, a token chooses whose position is a multiple of it, alone; the others see what was chosen before. At least 1.
    pub refresh: usize,
    /// Position by which the keys in [`closing`](Blocks::closing) are turned; `None`: keys as they are stored.
    pub key: Option<PairExpr>,
    /// Position by which the queries in [`choosing`](Blocks::choosing) are turned; `None`: queries as they come.
    pub query: Option<PairExpr>,
    /// Computed over the entries of a block when it is closed, in order. What is a number of an entry is known in these only.
    pub closing: Vec<Definition>,
    /// Computed where queries choose, for each query head, over all blocks that were closed before the first of their tokens, in order. In [`Policy::sights`],
    /// numbers of an entry are those of its block; 0 where that is not closed.
    pub choosing: Vec<Definition>,
}

/// When entries leave, and which stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Eviction {
    /// The tokens after which entries leave; a function of numbers of the cache.
    pub at: PairExpr,
    /// The entries that stay.
    pub keep: PairExpr,
}

/// A set of entries that a query sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Which entries; `None`: all.
    pub seen: Option<PairExpr>,
    /// Position by which queries are turned. Without [`Policy::turn`] not used.
    pub query: PairExpr,
    /// Position by which keys are turned.
    pub key: PairExpr,
}

/// How keys or values are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Coding {
    /// Entries whose slots are below this are coded, a function of numbers of the cache; what was coded stays so. `None`: every
    /// entry is coded before anything reads it.
    pub until: Option<PairExpr>,
    /// Entries of the tokens before this position stay as they are. With [`until`](Coding::until) only; a multiple of a group along tokens.
    pub from: usize,
    /// Bits of a number: 2, 4 or 8; 32 for numbers as they are.
    pub bits: usize,
    /// Numbers that share a step (and a least value).
    pub group: usize,
    /// Which numbers are a group.
    pub along: Along,
    /// Codes are signed and have no least value: `code = round(x / step)`, `step = max |x| / (2^(bits - 1) - 1)`. Otherwise
    /// `code = round((x - low) / step)`, `low = min x`, `step = (max x - low) / (2^bits - 1)`. Halves round to even; with a step of 0
    /// codes are 0.
    pub symmetric: bool,
    /// The channels that are stored, chosen where the first entries are coded; all others are read as 0.
    pub channels: Option<Channels>,
}

/// Which numbers of keys or values share a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Consecutive channels of one entry.
    Channels,
    /// One channel of consecutive entries, whose first slot is a multiple of the group.
    Tokens,
}

/// The channels with the largest values, of equal values the lower channel first.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// Number of the definition that has a value for each channel.
    pub by: usize,
    /// How many.
    pub count: usize,
}

/// Rotary positions (Su et al. 2021, arXiv:2104.09864): pairs of channels turn by position times an angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Channel `2 p` and `2 p + 1` are a pair; otherwise `p` and `p + pairs`.
    pub interleaved: bool,
    /// Number of pairs; channels behind them are not turned.
    pub pairs: usize,
    /// Factor on turned channels.
    pub magnitude: f64,
}

impl Turn {
    /// The two channels of a pair.
    pub fn channels(&self, pair: usize) -> (usize, usize) {
        if self.interleaved {
            (2 * pair, 2 * pair + 1)
        } else {
            (pair, pair + self.pairs)
        }
    }
}

impl Coding {
    /// A border in whole groups of entries.
    pub fn whole(&self, border: usize) -> usize {
        match self.along {
            Along::Tokens => border - border % self.group.max(1),
            Along::Channels => border,
        }
    }

    /// Bytes of a coded entry of so many channels: codes, steps and least values.
    pub fn entry_bytes(&self, width: usize) -> f64 {
        let width = self.channels.as_ref().map_or(width, |chosen| chosen.count) as f64;
        let group = self.group.max(1) as f64;
        let groups = match (self.bits, self.along) {
            (32, _) => 0.0,
            (_, Along::Channels) => (width / group).ceil(),
            (_, Along::Tokens) => width / group,
        };
        width * self.bits as f64 / 8.0 + groups * if self.symmetric { 4.0 } else { 8.0 }
    }

    /// The largest code.
    pub fn codes(&self) -> f64 {
        let bits = if self.symmetric { self.bits - 1 } else { self.bits };
        ((1_u64 << bits) - 1) as f64
    }
}

impl Policy {
    /// Tokens whose queries are kept.
    pub fn queries(&self) -> usize {
        let of = |d: &Definition| match d.kind {
            Kind::Seen { queries } | Kind::QueryMean { queries, .. } => queries,
            _ => 0,
        };
        let within = self.blocks.iter().filter(|b| b.reads_queries());
        let blocks = within.map(|b| b.size + b.behind);
        self.definitions.iter().map(of).chain(blocks).max().unwrap_or(0)
    }

    /// Number of the key stream of a definition.
    pub fn stream_of(&self, definition: usize) -> usize {
        MEMORIES + self.memories.len() + definition
    }

    /// Number of the key stream of a definition of [`Blocks::closing`].
    pub fn closing_stream(&self, definition: usize) -> usize {
        self.stream_of(self.definitions.len()) + definition
    }

    /// Number of the key stream of a definition of [`Blocks::choosing`].
    pub fn choosing_stream(&self, definition: usize) -> usize {
        self.closing_stream(self.blocks.as_ref().map_or(0, |b| b.closing.len())) + definition
    }

    /// Whether an expression reads what queries chose.
    pub fn reads_choice(&self, e: &PairExpr) -> bool {
        let first = self.closing_stream(0);
        e.any(&|e| matches!(e, PairExpr::KeyStream(n) if *n >= first))
    }

    /// Whether the entries of a sight are found for each query by itself: by its choice of blocks, or because they are counted.
    pub fn gathers(&self, sight: &Sight) -> bool {
        let counted = |e: &PairExpr| matches!(e, PairExpr::KeyStream(RANK | CLOSED) | PairExpr::QueryStream(SHOWN));
        let parts = || sight.seen.iter().chain([&sight.query, &sight.key]);
        parts().any(|e| self.reads_choice(e) || e.any(&counted))
    }

    /// Whether key heads decide together which entries leave.
    pub fn joins_heads(&self) -> bool {
        self.definitions.iter().any(|d| d.kind.joins_heads())
    }

    /// Whether an expression follows from the position of the token and where it is in a prompt, whatever entries there are: then it is
    /// the same for all key heads.
    pub fn is_of_token(e: &PairExpr) -> bool {
        Policy::is_of_place(e) && !e.any(&|e| matches!(e, PairExpr::QueryStream(ENTRIES)))
    }

    /// Whether a condition follows from the position of the token and where it is in a prompt, where slots are positions.
    pub fn is_of_place(e: &PairExpr) -> bool {
        !e.any(&|e| match e {
            PairExpr::KeyPos | PairExpr::KeyStream(_) | PairExpr::Head | PairExpr::Score | PairExpr::Table(..) => true,
            PairExpr::QueryStream(n) => *n >= SHOWN,
            _ => false,
        })
    }

    /// The sights with those divided that show all entries at some tokens, and at others what queries choose: what is known of a token
    /// before its queries are is told apart.
    pub fn divided_sights(&self) -> Vec<Sight> {
        let divided = |sight: &Sight| {
            let counted =
                |e: &PairExpr| e.any(&|e| matches!(e, PairExpr::KeyStream(RANK) | PairExpr::QueryStream(SHOWN)));
            let parts = sight.seen.iter().flat_map(PairExpr::disjuncts);
            let (place, rest): (Vec<_>, Vec<_>) = parts.cloned().partition(Policy::is_of_place);
            let either = |parts: Vec<PairExpr>| parts.into_iter().reduce(|a, b| PairExpr::binary(BinaryOp::Or, a, b));
            let choice = self.gathers(sight) && !counted(&sight.query) && !counted(&sight.key);
            match (either(place), either(rest)) {
                (Some(place), Some(rest)) if choice => {
                    let otherwise = PairExpr::binary(BinaryOp::And, place.clone().negated(), rest);
                    let seen = |seen| Sight {
                        seen: Some(seen),
                        ..sight.clone()
                    };
                    vec![seen(place), seen(otherwise)]
                }
                _ => vec![sight.clone()],
            }
        };
        self.sights.iter().flat_map(divided).collect()
    }

    /// Whether each query head has its own numbers of closed blocks.
    pub fn blocks_of_query_heads(&self) -> bool {
        let each = |e: &PairExpr| matches!(e, PairExpr::KeyStream(n) if n.checked_sub(MEMORIES).and_then(|n| self.memories.get(n)).is_some_and(|m| m.each));
        let closing = self.blocks.iter().flat_map(|b| &b.closing);
        closing
            .into_iter()
            .any(|d| matches!(d.kind, Kind::Within) || d.kind.expressions().into_iter().any(|e| e.any(&each)))
    }

    /// Whether more than each token's own step decides what is kept: where a prompt ends.
    pub fn prompt_matters(&self) -> bool {
        let uses = |e: &PairExpr| e.any(&|e| matches!(e, PairExpr::QueryStream(READING | ENDED)));
        let together = self.blocks.as_ref().is_some_and(|b| b.together != b.refresh);
        together || self.expressions().into_iter().any(uses)
    }

    /// All of its expressions.
    pub fn expressions(&self) -> Vec<&PairExpr> {
        let mut all: Vec<&PairExpr> = self.counters.iter().chain(&self.memories).map(|r| &r.next).collect();
        let of_blocks = self.blocks.iter().flat_map(|b| b.closing.iter().chain(&b.choosing));
        for definition in self.definitions.iter().chain(of_blocks) {
            all.extend(definition.kind.expressions());
        }
        all.extend(self.blocks.iter().flat_map(|b| b.key.iter().chain(&b.query)));
        all.extend(self.evict.iter().flat_map(|e| [&e.at, &e.keep]));
        for sight in &self.sights {
            all.extend(&sight.seen);
            all.extend([&sight.query, &sight.key]);
        }
        all.extend(
            [&self.keys, &self.values]
                .into_iter()
                .flatten()
                .filter_map(|c| c.until.as_ref()),
        );
        all
    }
}

impl Blocks {
    /// How many are closed after so many tokens.
    pub fn closed_after(&self, tokens: usize) -> usize {
        tokens.saturating_sub(self.first + self.behind) / self.size.max(1)
    }

    /// Whether the queries of a token at a position choose, where `reading` says that it is one of a prompt; those of the first token always
    /// do.
    pub fn chooses_at(&self, position: usize, reading: bool) -> bool {
        position.is_multiple_of(if reading { self.together } else { self.refresh })
    }

    /// Whether the queries of a block's tokens are wanted when it is closed.
    pub fn reads_queries(&self) -> bool {
        self.closing.iter().any(|d| matches!(d.kind, Kind::Within))
    }
}
