//! Attention over a cache that a policy governs, one key head after another.

use super::{
    attend::{Attend, Pair},
    blocks, coding,
    data::Data,
    entries::{KeyHead, dot, fewest, joined, normalised, pool, reduce_among, top},
    governed::{At, Choice, Entry, HeadCache, Query},
    place::{About, HeadStep},
};
use crate::{
    PairDomain, PairExpr,
    policy::{Kind, Policy, Recurrence, Sight, Turn},
};

impl Attend {
    /// The result at a token, and the caches of all key heads after it. `tokens` are its operands, then those of tokens that follow, as far as
    /// their queries choose together.
    pub(super) fn govern(&self, policy: &Policy, heads: &mut Vec<HeadCache>, at: At, tokens: &[Vec<Data>]) -> Vec<f64> {
        let operands = &tokens[0];
        if heads.is_empty() {
            let first = HeadCache {
                counters: policy.counters.iter().map(|c| c.init).collect(),
                ..HeadCache::default()
            };
            heads.resize(self.heads / self.group, first);
        }
        let caches = heads.iter_mut().enumerate();
        let mut steps: Vec<HeadStep<'_>> = caches
            .map(|(head, cache)| HeadStep {
                attend: self,
                policy,
                head,
                at,
                cache,
                counters: Vec::new(),
                definitions: Vec::new(),
            })
            .collect();
        steps.iter_mut().for_each(|step| step.begin(operands));
        blocks::choose(&mut steps, tokens);
        let out = steps.iter_mut().flat_map(|step| step.attend(operands)).collect();
        define(policy, &mut steps);
        steps.iter_mut().for_each(|step| step.finish(operands));
        out
    }
}

/// The definitions of the heads that need them after this token.
fn define(policy: &Policy, steps: &mut [HeadStep<'_>]) {
    let mut steps: Vec<&mut HeadStep<'_>> = steps
        .iter_mut()
        .filter(|step| step.evicts() || step.chooses_channels())
        .collect();
    for definition in &policy.definitions {
        let alone = || steps.iter().map(|step| step.defined(&definition.kind)).collect();
        let found = joined(&definition.kind, &steps).unwrap_or_else(alone);
        for (step, found) in steps.iter_mut().zip(found) {
            step.definitions.push(found);
        }
    }
}

impl KeyHead for HeadStep<'_> {
    fn of_entries(&self, e: &PairExpr) -> Vec<f64> {
        let of = |slot| self.of_entry(e, slot, self.at.position, 0.0);
        (0..self.cache.entries.len()).map(of).collect()
    }

    fn number(&self, e: &PairExpr) -> f64 {
        HeadStep::number(self, e)
    }

    fn positions(&self) -> Vec<f64> {
        self.cache.entries.iter().map(|entry| entry.position as f64).collect()
    }
}

impl HeadStep<'_> {
    /// The counters' new values, and the token's entry.
    fn begin(&mut self, operands: &[Data]) {
        self.append(operands);
        self.counters = self.cache.counters.clone();
        let next = self.policy.counters.iter().map(|c| self.number(&c.next)).collect();
        self.counters = next;
    }

    /// The result, after what the query heads chose; memories follow from it.
    fn attend(&mut self, operands: &[Data]) -> Vec<f64> {
        let query = Query {
            position: self.at.position,
            operands: operands.to_vec(),
        };
        let weights = self.weights(&query);
        let out = weights.iter().flat_map(|row| self.weighted(row)).collect();
        self.remember(&weights);
        self.keep_query(query);
        out
    }

    /// Whether entries may leave after this token.
    fn evicts(&self) -> bool {
        self.policy.evict.as_ref().is_some_and(|e| self.number(&e.at) != 0.0)
    }

    /// Whether channels have still to be chosen.
    fn chooses_channels(&self) -> bool {
        self.policy.keys.as_ref().is_some_and(|c| c.channels.is_some()) && self.cache.channels.is_none()
    }

    /// What is done after the definitions are known: entries leave, others are coded, blocks are closed.
    fn finish(&mut self, operands: &[Data]) {
        if self.evicts() {
            self.evict();
        }
        self.code();
        self.close_blocks(operands);
        self.cache.counters = std::mem::take(&mut self.counters);
    }

    fn append(&mut self, operands: &[Data]) {
        let part = |row: &Data, width: usize| row[self.head * width..(self.head + 1) * width].to_vec();
        let mut entry = Entry {
            position: self.at.position,
            key: part(&operands[1], self.attend.e),
            value: part(&operands[2], self.attend.f),
            streams: operands[self.attend.spec.key_operands()].to_vec(),
            memories: self.policy.memories.iter().map(|m| self.first_values(m)).collect(),
        };
        let codings = [
            (&self.policy.keys, &mut entry.key),
            (&self.policy.values, &mut entry.value),
        ];
        for (coding, row) in codings {
            match coding {
                Some(coding) if coding.until.is_none() => coding::row(coding, row),
                Some(_) => {}
                None => self.attend.nearest(row),
            }
        }
        self.cache.entries.push(entry);
    }

    fn first_values(&self, memory: &Recurrence) -> Vec<f64> {
        vec![memory.init; if memory.each { self.attend.group } else { 1 }]
    }

    /// The weights of every query head: of each entry, in each sight.
    fn weights(&self, query: &Query) -> Vec<Vec<Vec<f64>>> {
        let members = 0..self.attend.group;
        let none = Choice::new();
        members
            .map(|member| self.weights_of(query, member, self.cache.choices.get(member).unwrap_or(&none)))
            .collect()
    }

    fn weights_of(&self, query: &Query, member: usize, chosen: &Choice) -> Vec<Vec<f64>> {
        let scores = |sight| self.scores(query, member, sight, chosen);
        normalised(self.policy.sights.iter().map(scores).collect())
    }

    /// The scores of all entries; minus infinity where they are not seen.
    fn scores(&self, query: &Query, member: usize, sight: &Sight, chosen: &Choice) -> Vec<f64> {
        let spec = &self.attend.spec;
        let entries = 0..self.cache.entries.len();
        let head = self.head * self.attend.group + member;
        let admitted = |slot: &usize| {
            let seen = |e: &PairExpr| self.value(e, self.about_seen(query, *slot, chosen)) != 0.0;
            let position = self.cache.entries[*slot].position;
            position <= query.position
                && spec
                    .predicate
                    .as_ref()
                    .is_none_or(|p| self.pair(query, head, *slot).value(p) != 0.0)
                && sight.seen.as_ref().is_none_or(seen)
        };
        let shown: Vec<usize> = entries.clone().filter(admitted).collect();
        let mut scores = vec![f64::NEG_INFINITY; entries.len()];
        for (rank, slot) in shown.iter().enumerate() {
            let counts = [rank, shown.len()];
            scores[*slot] = self.score(query, head, sight, *slot, counts);
        }
        scores
    }

    /// What decides whether a query sees an entry.
    fn about_seen<'n>(&self, query: &Query, slot: usize, chosen: &'n Choice) -> About<'n> {
        let block = self.policy.blocks.as_ref().and_then(|blocks| {
            let block = slot.checked_sub(blocks.first)? / blocks.size;
            (block < self.cache.known).then_some(block)
        });
        About {
            slot: Some(slot),
            now: Some(query.position),
            block,
            choosing: chosen,
            closed: block.is_some(),
            ..About::default()
        }
    }

    fn pair<'q>(&'q self, query: &'q Query, head: usize, slot: usize) -> Pair<'q> {
        Pair {
            attend: self.attend,
            operands: &query.operands,
            key_streams: &self.cache.entries[slot].streams,
            score: 0.0,
            query: query.position as f64,
            key: self.cache.entries[slot].position,
            head,
            behind: &[],
            sums: &[],
        }
    }

    /// The score of an entry that is seen; `counts` entries are seen before it, and in all.
    fn score(&self, query: &Query, head: usize, sight: &Sight, slot: usize, counts: [usize; 2]) -> f64 {
        let entry = &self.cache.entries[slot];
        let spec = &self.attend.spec;
        let e = self.attend.e;
        let q = &query.operands[0][head * e..(head + 1) * e];
        let about = About {
            slot: Some(slot),
            now: Some(query.position),
            counts,
            ..About::default()
        };
        let q = self.turned(&query.operands, q, self.value(&sight.query, about));
        let k = self.turned(&query.operands, &entry.key, self.value(&sight.key, about));
        let mut layer = self.pair(query, head, slot);
        layer.score = spec.scale * dot(&q, &k);
        spec.score.as_ref().map_or(layer.score, |s| layer.value(s))
    }

    /// A row turned to a position, where the policy turns.
    pub(super) fn turned(&self, operands: &[Data], row: &[f64], position: f64) -> Vec<f64> {
        match (self.policy.turn, self.attend.spec.angles()) {
            (Some(turn), Some(angles)) => turned(turn, &operands[angles], position, row),
            _ => row.to_vec(),
        }
    }

    /// The weighted sum of values.
    fn weighted(&self, weights: &[Vec<f64>]) -> Vec<f64> {
        let mut out = vec![0.0; self.attend.f];
        for row in weights {
            for (weight, entry) in row.iter().zip(&self.cache.entries) {
                if *weight != 0.0 {
                    out.iter_mut().zip(&entry.value).for_each(|(o, v)| *o += weight * v);
                }
            }
        }
        out
    }

    /// Updates the memories of all entries.
    fn remember(&mut self, weights: &[Vec<Vec<f64>>]) {
        for slot in 0..self.cache.entries.len() {
            let given: Vec<f64> = weights
                .iter()
                .map(|rows| rows.iter().map(|row| row[slot]).sum())
                .collect();
            let next = |m: &Recurrence| -> Vec<f64> {
                let value = |member: usize, score: f64| {
                    let about = About {
                        slot: Some(slot),
                        score,
                        member,
                        ..About::default()
                    };
                    self.value(&m.next, about)
                };
                match m.each {
                    true => (0..given.len()).map(|member| value(member, given[member])).collect(),
                    false => vec![value(0, given.iter().sum())],
                }
            };
            let next = self.policy.memories.iter().map(next).collect();
            self.cache.entries[slot].memories = next;
        }
    }

    fn keep_query(&mut self, query: Query) {
        self.cache.queries.push_back(query);
        while self.cache.queries.len() > self.policy.queries() {
            self.cache.queries.pop_front();
        }
    }

    /// A condition on each entry.
    fn truths(&self, e: &PairExpr) -> Vec<bool> {
        self.of_entries(e).iter().map(|x| *x != 0.0).collect()
    }

    /// The values of a definition that reads nothing of other heads.
    fn defined(&self, kind: &Kind) -> Vec<f64> {
        let entries = 0..self.cache.entries.len();
        let of = |e: &PairExpr| self.of_entries(e);
        let truths = |e: &PairExpr| self.truths(e);
        let channels = 0..self.attend.e;
        match kind {
            Kind::Entry(e) => of(e),
            Kind::Pool { of, window, how, among } => {
                pool(*how, *window, &truths(among), |at| self.definitions[*of][at])
            }
            Kind::Top { by, count, among, .. } => top(&of(by), self.number(count), &truths(among)),
            Kind::Over { of: values, how, among } => {
                let values = of(values);
                let found = reduce_among(*how, &values, &truths(among));
                vec![found; values.len()]
            }
            Kind::Fewest { of: values, sum, among } => {
                let values = of(values);
                vec![fewest(&values, self.number(sum), &truths(among)); values.len()]
            }
            Kind::Seen { queries } => self.seen(*queries),
            Kind::VectorSum { of, values } => {
                let sum = |slot: usize| {
                    let entry = &self.cache.entries[slot];
                    let row = if *values { &entry.value } else { &entry.key };
                    let numbers = row.iter().enumerate();
                    numbers.map(|(c, x)| self.of_channel(of, c, *x, Some(slot))).sum()
                };
                entries.map(sum).collect()
            }
            Kind::Channel(e) => channels.map(|c| self.of_channel(e, c, 0.0, None)).collect(),
            Kind::KeyMean(e) => {
                let count = self.cache.entries.len().max(1) as f64;
                let sum = |c: usize| {
                    self.cache
                        .entries
                        .iter()
                        .enumerate()
                        .map(|(slot, entry)| self.of_channel(e, c, entry.key[c], Some(slot)))
                        .sum::<f64>()
                };
                channels.map(|c| sum(c) / count).collect()
            }
            Kind::QueryMean { of, queries } => {
                let rows: Vec<&[f64]> = self.last(*queries).flat_map(|q| self.rows(q)).collect();
                let sum = |c: usize| rows.iter().map(|row| self.of_channel(of, c, row[c], None)).sum::<f64>();
                channels.map(|c| sum(c) / rows.len().max(1) as f64).collect()
            }
            // Numbers of blocks.
            Kind::Within
            | Kind::Fold { .. }
            | Kind::QuerySum { .. }
            | Kind::QueryFold { .. }
            | Kind::EntrySum { .. }
            | Kind::Search { .. }
            | Kind::Heads { .. } => Vec::new(),
        }
    }

    fn last(&self, queries: usize) -> impl Iterator<Item = &Query> {
        let kept = &self.cache.queries;
        kept.iter().skip(kept.len().saturating_sub(queries))
    }

    /// The queries of a token for this key head.
    pub(super) fn rows<'q>(&self, query: &'q Query) -> impl Iterator<Item = &'q [f64]> {
        let (e, group) = (self.attend.e, self.attend.group);
        query.operands[0].chunks(e).skip(self.head * group).take(group)
    }

    fn seen(&self, queries: usize) -> Vec<f64> {
        let mut sums = vec![0.0; self.cache.entries.len()];
        for query in self.last(queries) {
            for row in self.weights(query).iter().flatten() {
                sums.iter_mut().zip(row).for_each(|(s, w)| *s += w);
            }
        }
        sums
    }

    fn evict(&mut self) {
        let Some(evict) = &self.policy.evict else { return };
        let kept = |slot: usize| self.of_entry(&evict.keep, slot, self.at.position, 0.0) != 0.0;
        let kept: Vec<bool> = (0..self.cache.entries.len()).map(kept).collect();
        let among = |border: usize| kept.iter().take(border).filter(|k| **k).count();
        self.cache.coded_keys = among(self.cache.coded_keys);
        self.cache.coded_values = among(self.cache.coded_values);
        let mut kept = kept.iter();
        self.cache.entries.retain(|_| *kept.next().unwrap_or(&true));
    }

    /// Codes the entries that have come below the borders.
    fn code(&mut self) {
        let border = |coding: &Option<crate::policy::Coding>| {
            let until = coding.as_ref()?.until.as_ref()?;
            Some(self.number(until).clamp(0.0, self.cache.entries.len() as f64) as usize)
        };
        let (keys, values) = (border(&self.policy.keys), border(&self.policy.values));
        if let (Some(border), Some(coding)) = (keys, &self.policy.keys) {
            let border = coding.whole(border).max(self.cache.coded_keys);
            if border > self.cache.coded_keys && self.cache.channels.is_none() {
                let chosen = |c: &crate::policy::Channels| chosen(&self.definitions[c.by], c.count);
                self.cache.channels = coding.channels.as_ref().map(chosen);
            }
            let channels = self.cache.channels.clone();
            let first = self.cache.coded_keys.max(self.cache.before(coding.from)).min(border);
            let rows = &mut self.cache.entries[first..border];
            let mut rows: Vec<&mut Vec<f64>> = rows.iter_mut().map(|e| &mut e.key).collect();
            coding::rows(coding, &mut rows, channels.as_deref());
            self.cache.coded_keys = border;
        }
        if let (Some(border), Some(coding)) = (values, &self.policy.values) {
            let border = coding.whole(border).max(self.cache.coded_values);
            let first = self.cache.coded_values.max(self.cache.before(coding.from)).min(border);
            let rows = &mut self.cache.entries[first..border];
            let mut rows: Vec<&mut Vec<f64>> = rows.iter_mut().map(|e| &mut e.value).collect();
            coding::rows(coding, &mut rows, None);
            self.cache.coded_values = border;
        }
    }
}

/// A row turned to a position.
fn turned(turn: Turn, angles: &[f64], position: f64, row: &[f64]) -> Vec<f64> {
    let mut out = row.to_vec();
    for (pair, angle) in angles.iter().enumerate() {
        let (a, b) = turn.channels(pair);
        let (sin, cos) = (position * angle).sin_cos();
        out[a] = turn.magnitude * (row[a] * cos - row[b] * sin);
        out[b] = turn.magnitude * (row[b] * cos + row[a] * sin);
    }
    out
}

/// The channels with the largest values, ascending.
fn chosen(values: &[f64], count: usize) -> Vec<usize> {
    let kept = top(values, count as f64, &vec![true; values.len()]);
    (0..values.len()).filter(|c| kept[*c] != 0.0).collect()
}
