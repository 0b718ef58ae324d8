//! Attention of one query token over the keys seen so far.

use super::{
    data::Data,
    elementwise::{apply_binary, apply_unary},
    governed::{At, HeadCache},
};
use crate::{AttendSpec, BinaryOp, Clock, Normaliser, PairDomain, PairExpr, PairLeaf, UNSEEN, UnaryOp};
use seqc_formats::Encoding;
use std::collections::HashMap;

/// An attention with its sizes.
#[derive(Clone, Debug)]
pub(super) struct Attend {
    pub(super) spec: AttendSpec,
    /// Query heads.
    pub(super) heads: usize,
    /// Query heads per key head.
    pub(super) group: usize,
    /// Length of queries and keys.
    pub(super) e: usize,
    /// Length of values.
    pub(super) f: usize,
    /// Sizes of the tables.
    pub(super) tables: Vec<Vec<usize>>,
    /// For each query stream, which of its entries [`crate::PairExpr::Listed`] looks through.
    pub(super) lists: Vec<ListOf>,
}

/// The entries of a list.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListOf {
    /// All of them.
    Token,
    /// So many for each query head.
    Head(usize),
}

impl ListOf {
    /// Of a query stream of these sizes.
    pub(super) fn of(sizes: Vec<usize>) -> ListOf {
        match sizes[..] {
            [_, size] => ListOf::Head(size),
            _ => ListOf::Token,
        }
    }
}

/// The keys of a sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// By position.
    rows: Vec<KeyRow>,
    /// Those of each key head, where a policy governs the cache.
    governed: Vec<HeadCache>,
    tokens: usize,
}

impl Keys {
    /// Tokens seen so far, whether they are keys or not.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }
}

/// What is kept of one key token.
#[derive(Clone, Debug)]
struct KeyRow {
    /// Number of its token in the sequence.
    token: usize,
    k: Data,
    v: Data,
    streams: Vec<Data>,
}

/// One (query, key, head).
pub(super) struct Pair<'a> {
    pub(super) attend: &'a Attend,
    /// Operands of the query's token.
    pub(super) operands: &'a [Data],
    pub(super) key_streams: &'a [Data],
    pub(super) score: f64,
    pub(super) query: f64,
    pub(super) key: usize,
    pub(super) head: usize,
    /// What is summed over the keys behind a key.
    pub(super) behind: &'a [&'a PairExpr],
    /// The sum of each over those behind this one.
    pub(super) sums: &'a [f64],
}

impl Attend {
    /// Whether queries see keys of later tokens.
    pub(super) fn reads_later(&self) -> bool {
        !self.spec.causal && self.spec.clock != Clock::Memory
    }

    /// The next token: its result, and what it leaves in the cache. `tokens` are its operands, then those of tokens that follow.
    pub(super) fn step(&self, keys: &mut Keys, prompt: Option<usize>, tokens: &[Vec<Data>]) -> Vec<f64> {
        let (position, operands) = (keys.tokens, &tokens[0]);
        if let Some(policy) = &self.spec.policy {
            keys.tokens += 1;
            return self.govern(policy, &mut keys.governed, At { position, prompt }, tokens);
        }
        if self.spec.clock == Clock::Memory {
            // Its keys were there before.
            keys.tokens += 1;
        } else {
            self.push(keys, operands);
        }
        self.run(position, operands, keys)
    }

    /// The keys of an attention to a memory with these rows, each by its operands.
    pub(super) fn remembered(&self, rows: &[Vec<Data>]) -> Keys {
        let mut keys = Keys::default();
        rows.iter().for_each(|operands| self.push(&mut keys, operands));
        Keys { tokens: 0, ..keys }
    }

    /// Adds what the operands of the next token leave in the cache.
    pub(super) fn push(&self, keys: &mut Keys, operands: &[Data]) {
        if self.is_tick(operands) {
            keys.rows.push(KeyRow {
                token: keys.tokens,
                k: self.stored(&operands[1]),
                v: if self.spec.has_values() {
                    self.stored(&operands[2])
                } else {
                    Data::default()
                },
                streams: operands[self.spec.key_operands()].to_vec(),
            });
        }
        keys.tokens += 1;
    }

    /// What is kept of a row of keys or of values.
    fn stored(&self, row: &Data) -> Data {
        let mut row = row.to_vec();
        self.nearest(&mut row);
        Data::new(row)
    }

    /// Numbers as they are stored.
    pub(super) fn nearest(&self, row: &mut [f64]) {
        if let Some(nearest) = self.spec.stored.nearest().filter(|_| self.spec.stored != Encoding::F32) {
            row.iter_mut().for_each(|x| *x = f64::from(nearest(*x as f32)));
        }
    }

    /// An entry of a table, at indices that are rounded down and clamped.
    pub(super) fn entry_of_table(&self, n: usize, operands: &[Data], indices: &[f64]) -> f64 {
        let sizes = &self.tables[n];
        let flat = indices.iter().zip(sizes).fold(0, |flat, (index, size)| {
            let last = size.saturating_sub(1) as f64;
            // What is not a number reads the first entry.
            flat * size + index.floor().max(0.0).min(last) as usize
        });
        operands[self.spec.table_operands()][n][flat]
    }

    fn is_tick(&self, operands: &[Data]) -> bool {
        self.spec.on().is_none_or(|on| operands[on][0] != 0.0)
    }

    /// Result at token `token`, whose keys are there.
    pub(super) fn run(&self, token: usize, operands: &[Data], keys: &Keys) -> Vec<f64> {
        let ticks = keys.rows.partition_point(|row| row.token <= token);
        let silent = self.spec.clock == Clock::Both && !self.is_tick(operands);
        let rows = match (silent, self.spec.causal) {
            (true, _) => &[],
            (_, true) => &keys.rows[..ticks],
            (_, false) => &keys.rows[..],
        };
        let query = match self.spec.clock {
            Clock::Memory => token as f64,
            Clock::Every | Clock::Keys | Clock::Both => ticks as f64 - 1.0,
        };
        let behind = self.spec.sums_behind();
        let mut out = Vec::new();
        let mut choosing = Vec::new();
        for head in 0..self.heads {
            let mut admitted = Vec::new();
            let mut sums = vec![0.0; behind.len()];
            // From the end: of each key, what is behind it is known.
            for (key, row) in rows.iter().enumerate().rev() {
                let mut pair = Pair {
                    attend: self,
                    operands,
                    key_streams: &row.streams,
                    score: 0.0,
                    query,
                    key,
                    head,
                    behind: &behind,
                    sums: &sums,
                };
                if self.spec.predicate.as_ref().is_some_and(|p| pair.value(p) == 0.0) {
                    continue;
                }
                pair.score = self.product(row, operands, head);
                let score = self.spec.score.as_ref().map_or(pair.score, |s| pair.value(s));
                admitted.push((score, key));
                let terms: Vec<f64> = behind.iter().map(|of| pair.value(of)).collect();
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
            admitted.reverse();
            match self.spec.normaliser {
                Normaliser::Top(n) => {
                    choosing.push(admitted);
                    if choosing.len() == self.spec.together {
                        out.extend(best(joined(std::mem::take(&mut choosing)), n));
                    }
                }
                _ => out.extend(self.weigh(admitted, rows, head / self.group)),
            }
        }
        out
    }

    /// The scaled product of a query and a key.
    fn product(&self, row: &KeyRow, operands: &[Data], head: usize) -> f64 {
        let q = &operands[0][head * self.e..(head + 1) * self.e];
        let start = head / self.group * self.e;
        let product: f64 = q.iter().zip(&row.k[start..start + self.e]).map(|(a, b)| a * b).sum();
        self.spec.scale * product
    }

    /// The weighted sum of the admitted keys' values, and the logarithm of the sum where it is asked for.
    fn weigh(&self, mut admitted: Vec<(f64, usize)>, rows: &[KeyRow], group: usize) -> Vec<f64> {
        if self.spec.normaliser == Normaliser::Softmax {
            // A score of minus infinity is the same as a key that is not seen.
            admitted.retain(|(score, _)| *score != f64::NEG_INFINITY);
        }
        let largest = admitted.iter().map(|(s, _)| *s).fold(f64::NEG_INFINITY, f64::max);
        let mut out = vec![0.0; self.f];
        let mut total = 0.0;
        for (score, key) in &admitted {
            let weight = match self.spec.normaliser {
                Normaliser::Softmax => (score - largest).exp(),
                Normaliser::Sum | Normaliser::None | Normaliser::Top(_) => *score,
            };
            total += weight;
            for (o, v) in out.iter_mut().zip(&rows[*key].v[group * self.f..]) {
                *o += weight * v;
            }
        }
        let scale = match self.spec.normaliser {
            Normaliser::Softmax | Normaliser::Sum if total == 0.0 => 0.0,
            Normaliser::Softmax | Normaliser::Sum => 1.0 / total,
            Normaliser::None | Normaliser::Top(_) => 1.0,
        };
        out.iter_mut().for_each(|o| *o *= scale);
        if self.spec.log_sum {
            out.push(if admitted.is_empty() {
                UNSEEN
            } else {
                largest + total.ln()
            });
        }
        out
    }
}

/// Keys that all heads of a choice see, with the sum of their scores.
fn joined(heads: Vec<Vec<(f64, usize)>>) -> Vec<(f64, usize)> {
    let both = |all: Vec<(f64, usize)>, head: Vec<(f64, usize)>| {
        let scores: HashMap<usize, f64> = head.into_iter().map(|(score, key)| (key, score)).collect();
        let sum = |(score, key): (f64, usize)| Some((score + scores.get(&key)?, key));
        all.into_iter().filter_map(sum).collect()
    };
    heads.into_iter().reduce(both).unwrap_or_default()
}

/// Scores of the best `n` keys, then their positions. What is no number is no candidate.
fn best(mut admitted: Vec<(f64, usize)>, n: usize) -> Vec<f64> {
    admitted.retain(|(score, _)| *score > f64::NEG_INFINITY);
    // Stable: of equal scores the earlier key stays first.
    // Both zeros are equal.
    admitted.sort_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)));
    let found = |m: usize| admitted.get(m);
    let scores = (0..n).map(|m| found(m).map_or(UNSEEN, |(score, _)| *score));
    let positions = (0..n).map(|m| found(m).map_or(-1.0, |(_, key)| *key as f64));
    scores.chain(positions).collect()
}

/// The value of a stream for a head.
fn of_head(stream: &[f64], head: usize) -> f64 {
    match stream {
        [scalar] => *scalar,
        heads => heads[head],
    }
}

impl PairDomain for Pair<'_> {
    type Value = f64;

    fn leaf(&mut self, leaf: PairLeaf) -> f64 {
        match leaf {
            PairLeaf::Score => self.score,
            PairLeaf::QueryPos => self.query,
            PairLeaf::KeyPos => self.key as f64,
            PairLeaf::Head => self.head as f64,
            PairLeaf::QueryStream(n) => of_head(&self.operands[self.attend.spec.query_operands()][n], self.head),
            PairLeaf::KeyStream(n) => of_head(&self.key_streams[n], self.head),
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

    fn table(&mut self, n: usize, indices: Vec<f64>) -> f64 {
        self.attend.entry_of_table(n, self.operands, &indices)
    }

    fn value(&mut self, expr: &PairExpr) -> f64 {
        let known = match expr {
            PairExpr::After(of) => self.behind.iter().position(|other| **other == **of),
            _ => None,
        };
        match known {
            Some(n) => self.sums[n],
            None => self.of_parts(expr),
        }
    }

    fn after(&mut self, _: f64) -> f64 {
        0.0
    }

    fn listed(&mut self, n: usize, x: f64) -> f64 {
        let entries = &self.operands[self.attend.spec.query_operands()][n];
        let entries = match self.attend.lists[n] {
            ListOf::Token => &entries[..],
            ListOf::Head(size) => &entries[self.head * size..(self.head + 1) * size],
        };
        f64::from(entries.contains(&x))
    }
}
