//! What distinguishes one attention kernel from another.

use crate::{
    kernel::Ty,
    targets::{MatrixUnits, TargetInfo},
};
use seqc_ir::{AttendSpec, policy::Policy};
use seqc_passes::{
    attention::{named::Named, span::AttentionSpan},
    machine::Machine,
};

/// Everything that distinguishes one attention kernel from another.
#[derive(Clone, Debug)]
pub struct Attend {
    /// Unique prefix of the names of its functions.
    pub name: String,
    /// Predicate, score, normaliser.
    pub spec: AttendSpec,
    /// Query heads `H`.
    pub heads: usize,
    /// Key and value heads `G`.
    pub groups: usize,
    /// Entries of a query or key, `E`.
    pub key_dim: usize,
    /// Entries of a value, `F`.
    pub value_dim: usize,
    /// Entries of each query stream: 1, or `H`, or those of a list.
    pub query_widths: Vec<usize>,
    /// Entries of each query stream as a list, for each query head where it has more entries altogether.
    pub query_lists: Vec<usize>,
    /// Entries of each key stream: 1, or `H`.
    pub key_widths: Vec<usize>,
    /// Sizes of each table.
    pub tables: Vec<Vec<usize>>,
    /// What the cache must keep.
    pub span: AttentionSpan,
    /// Keys that queries name, where these and some near ones are all that they see.
    pub named: Option<Named>,
    /// The entry of a key where the value begins, where pages hold keys alone.
    pub values_in_keys: Option<usize>,
    /// All pages are gone over, even where queries name keys.
    pub exhaustive: bool,
    /// Whose copy of a page is read.
    pub copy: PageCopy,
    /// Longest chunk.
    pub max_chunk: usize,
    /// The processor.
    pub machine: Machine,
    /// For a set of entries that a policy's queries see (`governed`).
    pub sight: Option<Sight>,
}

/// Whose copy of a page keys and values are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCopy {
    /// Nobody's: they are read from the page.
    None,
    /// A member's, in its scratch: keys that it brought together, each of which all rows see.
    OfMember,
    /// That of the members of a block, in the memory that they share.
    OfBlock,
}

/// What differs for entries of a cache that a policy governs.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Query streams of the layer; those behind them are numbers of the cache, in scratch. Key streams have one number for each key head.
    pub layer_streams: usize,
    /// Keys are read from a copy of their page in scratch, as f32.
    pub copied_keys: bool,
    /// And so are values.
    pub copied_values: bool,
    /// The policy reads weights ([`weighs_keys`]).
    pub weighed: bool,
}

/// Whether a policy reads weights that queries give.
pub(super) fn weighs_keys(policy: &Policy) -> bool {
    !policy.memories.is_empty() || policy.queries() > 0
}

impl Attend {
    /// Number of the state entry that holds the keys: their number, a 64-bit word, lies before it where there is a clock.
    pub fn keys_entry(&self) -> usize {
        usize::from(self.has_clock())
    }

    /// Number of the state entry of key stream 0.
    pub fn streams_entry(&self) -> usize {
        self.keys_entry() + 1 + usize::from(self.keeps_values())
    }

    /// Whether values have pages of their own.
    pub fn keeps_values(&self) -> bool {
        self.spec.has_values() && self.values_in_keys.is_none()
    }

    /// Entries of a head's result.
    pub fn result_width(&self) -> usize {
        self.spec.result(self.heads, self.value_dim)[1..].iter().product()
    }

    /// Entries of the result of a token.
    pub fn result_len(&self) -> usize {
        self.choosing() * self.result_width()
    }

    /// What queries name, where they go over that alone.
    pub(super) fn names(&self) -> Option<&Named> {
        self.named.as_ref().filter(|_| !self.exhaustive)
    }

    /// The space of the rows of query stream `n`.
    pub(super) fn stream_space(&self, n: usize) -> Ty {
        match self.sight {
            Some(sight) if n >= sight.layer_streams => Ty::SCRATCH,
            _ => Ty::GLOBAL,
        }
    }

    /// The space of a page's keys and values.
    pub(super) fn page_space(&self) -> Ty {
        match self.copy {
            PageCopy::None => {}
            PageCopy::OfMember => return Ty::SCRATCH,
            PageCopy::OfBlock => return Ty::SHARED,
        }
        match self.sight {
            Some(sight) if sight.copied_keys && sight.copied_values => Ty::SCRATCH,
            Some(sight) if sight.copied_keys || sight.copied_values => Ty::GENERIC,
            _ if self.values_in_keys.is_some() => Ty::GENERIC,
            _ => Ty::GLOBAL,
        }
    }

    /// How the processor multiplies matrices, where products of many rows with pages run on that. What keys are chosen by is added up in one order however many
    /// rows there are, and keys that queries name are brought together for few.
    pub(super) fn matrix_units(&self) -> Option<MatrixUnits> {
        let brings_together = self.named.is_some() || self.copy == PageCopy::OfMember;
        let units = TargetInfo::of(&self.machine).micro_kernels.matrix_units;
        units.filter(|_| !brings_together && !self.chooses_keys())
    }

    /// Whether scores or weights decide which keys there are: best ones, or those that a policy keeps.
    fn chooses_keys(&self) -> bool {
        let policy = self.spec.policy.as_deref();
        let by_policy = match self.sight {
            Some(sight) => sight.weighed,
            None => policy.is_some_and(weighs_keys),
        };
        by_policy || !self.spec.has_values()
    }

    /// Query heads per key head.
    pub(super) fn ratio(&self) -> usize {
        self.heads / self.groups
    }
}
