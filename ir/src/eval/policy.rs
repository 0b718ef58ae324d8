//! Attention over a cache that a policy governs, one key head after another.

use super::{
    attend::{Attend, Pair},
    coding,
    data::Data,
    entries::{pool, reduce, top},
    governed::{At, Entry, HeadCache, Query},
    place::HeadStep,
};
use crate::{
    PairDomain, PairExpr,
    policy::{Kind, Policy, Sight, Turn},
};

impl Attend {
    /// The result at a token, and the caches of all key heads after it.
    pub(super) fn govern(&self, policy: &Policy, heads: &mut Vec<HeadCache>, at: At, operands: &[Data]) -> Vec<f64> {
        if heads.is_empty() {
            let first = HeadCache {
                counters: policy.counters.iter().map(|c| c.init).collect(),
                ..HeadCache::default()
            };
            heads.resize(self.heads / self.group, first);
        }
        let caches = heads.iter_mut().enumerate();
        caches
            .flat_map(|(head, cache)| {
                let mut turn = HeadStep {
                    attend: self,
                    policy,
                    head,
                    at,
                    cache,
                    counters: Vec::new(),
                    definitions: Vec::new(),
                };
                turn.run(operands)
            })
            .collect()
    }
}

impl HeadStep<'_> {
    fn run(&mut self, operands: &[Data]) -> Vec<f64> {
        self.append(operands);
        self.counters = self.cache.counters.clone();
        let next = self.policy.counters.iter().map(|c| self.number(&c.next)).collect();
        self.counters = next;
        let query = Query {
            position: self.at.position,
            operands: operands.to_vec(),
        };
        let weights = self.weights(&query);
        let out = weights.iter().flat_map(|row| self.weighted(row)).collect();
        self.remember(&weights);
        self.keep_query(query);
        let evicts = self.policy.evict.as_ref().is_some_and(|e| self.number(&e.at) != 0.0);
        let chooses = self.policy.keys.as_ref().is_some_and(|c| c.channels.is_some()) && self.cache.channels.is_none();
        if evicts || chooses {
            self.define();
        }
        if evicts {
            self.evict();
        }
        self.code();
        self.cache.counters = std::mem::take(&mut self.counters);
        out
    }

    fn append(&mut self, operands: &[Data]) {
        let part = |row: &Data, width: usize| row[self.head * width..(self.head + 1) * width].to_vec();
        let mut entry = Entry {
            position: self.at.position,
            key: part(&operands[1], self.attend.e),
            value: part(&operands[2], self.attend.f),
            memories: self.policy.memories.iter().map(|m| m.init).collect(),
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

    /// The weights of every query head: of each entry, in each sight.
    fn weights(&self, query: &Query) -> Vec<Vec<Vec<f64>>> {
        let heads = self.head * self.attend.group..(self.head + 1) * self.attend.group;
        heads.map(|head| self.weights_of(query, head)).collect()
    }

    fn weights_of(&self, query: &Query, head: usize) -> Vec<Vec<f64>> {
        let scores = |sight: &Sight| -> Vec<f64> {
            let entries = 0..self.cache.entries.len();
            entries.map(|slot| self.score(query, head, sight, slot)).collect()
        };
        let scores: Vec<Vec<f64>> = self.policy.sights.iter().map(scores).collect();
        let all = || scores.iter().flatten().copied();
        let largest = all().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return scores.iter().map(|row| vec![0.0; row.len()]).collect();
        }
        let total: f64 = all().map(|s| (s - largest).exp()).sum();
        let weight = |s: &f64| (s - largest).exp() / total;
        scores.iter().map(|row| row.iter().map(weight).collect()).collect()
    }

    /// The score of an entry; minus infinity where it is not seen.
    fn score(&self, query: &Query, head: usize, sight: &Sight, slot: usize) -> f64 {
        let entry = &self.cache.entries[slot];
        let spec = &self.attend.spec;
        let mut layer = Pair {
            attend: self.attend,
            operands: &query.operands,
            key_streams: &[],
            score: 0.0,
            query: query.position as f64,
            key: entry.position,
            head,
        };
        let admitted = entry.position <= query.position
            && spec.predicate.as_ref().is_none_or(|p| layer.value(p) != 0.0)
            && sight
                .seen
                .as_ref()
                .is_none_or(|s| self.of_entry(s, slot, query.position, 0.0) != 0.0);
        if !admitted {
            return f64::NEG_INFINITY;
        }
        let e = self.attend.e;
        let q = &query.operands[0][head * e..(head + 1) * e];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let product = match (self.policy.turn, spec.angles()) {
            (Some(turn), Some(angles)) => {
                let angles = &query.operands[angles];
                let at = |e: &PairExpr| self.of_entry(e, slot, query.position, 0.0);
                let q = turned(turn, angles, at(&sight.query), q);
                dot(&q, &turned(turn, angles, at(&sight.key), &entry.key))
            }
            _ => dot(q, &entry.key),
        };
        layer.score = spec.scale * product;
        spec.score.as_ref().map_or(layer.score, |s| layer.value(s))
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
            let weight: f64 = weights.iter().flatten().map(|row| row[slot]).sum();
            let memories = self.policy.memories.iter();
            let next = memories
                .map(|m| self.of_entry(&m.next, slot, self.at.position, weight))
                .collect();
            self.cache.entries[slot].memories = next;
        }
    }

    fn keep_query(&mut self, query: Query) {
        self.cache.queries.push_back(query);
        while self.cache.queries.len() > self.policy.queries() {
            self.cache.queries.pop_front();
        }
    }

    fn define(&mut self) {
        self.definitions.clear();
        for definition in &self.policy.definitions {
            let values = self.defined(&definition.kind);
            self.definitions.push(values);
        }
    }

    fn defined(&self, kind: &Kind) -> Vec<f64> {
        let entries = 0..self.cache.entries.len();
        let now = self.at.position;
        let of = |e: &PairExpr| -> Vec<f64> { entries.clone().map(|slot| self.of_entry(e, slot, now, 0.0)).collect() };
        let truths = |e: &PairExpr| -> Vec<bool> { of(e).iter().map(|x| *x != 0.0).collect() };
        let channels = 0..self.attend.e;
        match kind {
            Kind::Entry(e) => of(e),
            Kind::Pool { of, size, how, among } => pool(*how, *size, &truths(among), |at| self.definitions[*of][at]),
            Kind::Top { by, count, among } => top(&of(by), self.number(count), &truths(among)),
            Kind::Over { of: values, how, among } => {
                let values = of(values);
                let found = reduce(
                    *how,
                    values.iter().zip(truths(among)).filter(|(_, t)| *t).map(|(x, _)| *x),
                );
                vec![found; values.len()]
            }
            Kind::Seen { queries } => self.seen(*queries),
            Kind::KeySum(e) => {
                let sum = |slot: usize| {
                    channels
                        .clone()
                        .map(|c| self.of_channel(e, c, self.cache.entries[slot].key[c], Some(slot)))
                        .sum()
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
                        .map(|entry| self.of_channel(e, c, entry.key[c], None))
                        .sum::<f64>()
                };
                channels.map(|c| sum(c) / count).collect()
            }
            Kind::QueryMean { of, queries } => {
                let rows: Vec<&[f64]> = self.last(*queries).flat_map(|q| self.rows(q)).collect();
                let sum = |c: usize| rows.iter().map(|row| self.of_channel(of, c, row[c], None)).sum::<f64>();
                channels.map(|c| sum(c) / rows.len().max(1) as f64).collect()
            }
        }
    }

    fn last(&self, queries: usize) -> impl Iterator<Item = &Query> {
        let kept = &self.cache.queries;
        kept.iter().skip(kept.len().saturating_sub(queries))
    }

    /// The queries of a token for this key head.
    fn rows<'q>(&self, query: &'q Query) -> impl Iterator<Item = &'q [f64]> {
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
            let rows = &mut self.cache.entries[self.cache.coded_keys..border];
            let mut rows: Vec<&mut Vec<f64>> = rows.iter_mut().map(|e| &mut e.key).collect();
            coding::rows(coding, &mut rows, channels.as_deref());
            self.cache.coded_keys = border;
        }
        if let (Some(border), Some(coding)) = (values, &self.policy.values) {
            let border = coding.whole(border).max(self.cache.coded_values);
            let rows = &mut self.cache.entries[self.cache.coded_values..border];
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
