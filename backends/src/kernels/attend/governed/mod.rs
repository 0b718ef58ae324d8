//! Attention over a cache that a policy governs ([`seqc_ir::policy::Policy`]).
//!
//! Every key head runs the policy for itself, and one thread runs all of a key head, so that nothing waits for other threads. The
//! tokens of a chunk are cut at *events*, the tokens after which entries leave or are coded (`events`): up to an event,
//! entries are appended and queries attend to them as in any attention (`run`), in coordinates of slots; then the policy's definitions
//! are computed (`define`, `top`), entries leave (`evict`) and are coded (`coding`). What is coded, or turned when it is read, is read
//! through a copy of its page (`read`).

mod append;
mod args;
mod choice;
mod code_layout;
mod coding;
mod define;
mod entries;
mod events;
mod evict;
mod expr;
mod heads;
mod memory;
mod observe;
mod read;
mod run;
mod share;
mod shift;
mod states;
mod top;
mod turn;

use super::variant::{Attend, Sight, weighs_keys};
use crate::kernel::Module;
pub use args::Arguments;
use seqc_formats::Encoding;
use seqc_ir::{
    AttendSpec, BinaryOp, PairExpr, PairLeaf,
    policy::{Kind, Policy},
};
pub use states::{Needs, Part};

/// An attention with its policy, and the attention kernels of the sets of entries that its queries see.
pub struct Governed<'a> {
    attend: &'a Attend,
    policy: &'a Policy,
    sights: Vec<Attend>,
    /// For queries of earlier tokens ([`seqc_ir::policy::Kind::Seen`]): all sights, in the same order.
    observed: Vec<Attend>,
}

impl Attend {
    /// The attention with its policy, where it has one.
    pub fn governed(&self) -> Option<Governed<'_>> {
        let policy = self.spec.policy.as_deref()?;
        let mut governed = Governed {
            attend: self,
            policy,
            sights: Vec::new(),
            observed: Vec::new(),
        };
        governed.sights = governed.attentions(false);
        if policy.definitions.iter().any(|d| matches!(d.kind, Kind::Seen { .. })) {
            governed.observed = governed.attentions(true);
        }
        Some(governed)
    }
}

impl Governed<'_> {
    /// Adds all functions. The one to call is `NAME_govern` with [`Governed::arguments`], by all threads; then, behind a barrier, one thread calls
    /// `NAME_settle(words)`.
    pub fn add(&self, module: &mut Module) {
        for sight in self.plain_sights().into_iter().chain(&self.observed) {
            self.add_sight(module, sight);
        }
        self.add_choice(module);
        self.add_read(module);
        self.add_run(module);
        self.add_coding(module);
        self.add_evict(module);
        self.add_events(module);
        self.add_settle(module);
    }

    fn name(&self, part: &str) -> String {
        format!("{}_{part}", self.attend.name)
    }

    /// Sets of entries that are the same for all query heads of a key head, and known before a query is.
    fn plain_sights(&self) -> Vec<&Attend> {
        let sights = self.policy.sights.iter().zip(&self.sights);
        let plain = sights.filter(|(sight, _)| !self.policy.gathers(sight));
        plain.map(|(_, kernel)| kernel).collect()
    }

    /// Whether slots are not positions.
    fn evicts(&self) -> bool {
        self.policy.evict.is_some()
    }

    /// Whether pages are copied before they are read.
    fn copies(&self) -> bool {
        self.copies_keys() || self.copies_values()
    }

    fn copies_keys(&self) -> bool {
        self.policy.keys.is_some() || self.policy.turn.is_some() || self.must_copy_both()
    }

    fn copies_values(&self) -> bool {
        self.policy.values.is_some() || self.must_copy_both()
    }

    /// Kernels read keys and values of one type.
    fn must_copy_both(&self) -> bool {
        let some = self.policy.keys.is_some() || self.policy.turn.is_some() || self.policy.values.is_some();
        some && self.attend.spec.stored != Encoding::F32
    }

    /// The attention kernel of every sight.
    fn attentions(&self, observed: bool) -> Vec<Attend> {
        let sights = self.policy.sights.iter().enumerate();
        sights
            .map(|(n, sight)| {
                let part = if observed { "observed" } else { "sight" };
                let spec = &self.attend.spec;
                let own = spec.predicate.as_ref().map(|e| self.of_layer(e));
                // What a query chooses is not a predicate of pairs.
                let seen = sight.seen.as_ref().filter(|_| !self.policy.gathers(sight));
                let seen = seen.map(|e| self.of_query(e));
                let earlier = observed.then(|| self.not_after());
                let predicate = [own, seen, earlier]
                    .into_iter()
                    .flatten()
                    .reduce(|a, b| PairExpr::binary(BinaryOp::And, a, b));
                let (layer, numbers) = (spec.query_streams, self.numbers());
                // Streams are kept for each head.
                let width = |width: &usize| if observed { self.attend.heads } else { *width };
                let widths = self
                    .attend
                    .query_widths
                    .iter()
                    .map(width)
                    .chain(std::iter::repeat_n(1, numbers));
                Attend {
                    name: self.name(&format!("{part}{n}")),
                    spec: AttendSpec {
                        predicate,
                        score: spec.score.as_ref().map(|e| self.of_layer(e)),
                        causal: !observed,
                        stored: if self.copies() { Encoding::F32 } else { spec.stored },
                        policy: None,
                        query_streams: layer + numbers,
                        key_streams: self.streams(),
                        ..spec.clone()
                    },
                    query_widths: widths.collect(),
                    key_widths: self.rows_of_arrays(),
                    sight: Some(Sight {
                        layer_streams: layer,
                        copied_keys: self.copies_keys(),
                        copied_values: self.copies_values(),
                        weighed: weighs_keys(self.policy),
                    }),
                    ..self.attend.clone()
                }
            })
            .collect()
    }

    /// Rows of each array of numbers of entries: key heads, or query heads where each has its own number.
    fn rows_of_arrays(&self) -> Vec<usize> {
        let rows = |n| match self.brought_for_each(n) {
            true => self.attend.heads,
            false => self.attend.groups,
        };
        (0..self.streams()).map(rows).collect()
    }

    /// The entry's token is not after the query's: for queries whose own entries may have left.
    fn not_after(&self) -> PairExpr {
        let [key, query] = [PairLeaf::KeyPos, PairLeaf::QueryPos].map(|leaf| self.of_query(&leaf.into()));
        PairExpr::binary(BinaryOp::Le, key, query)
    }
}
