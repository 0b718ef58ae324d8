//! Attention of one query token over the keys seen so far.

use super::{Data, elementwise::apply_binary, elementwise::apply_unary};
use crate::{AttendSpec, Normaliser, ScoreExpr};

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
}

/// What is kept of one key token.
#[derive(Clone, Debug)]
pub(super) struct KeyRow {
    k: Data,
    v: Data,
    streams: Vec<Data>,
}

/// One (query, key, head).
struct Pair<'a> {
    score: f64,
    query: usize,
    key: usize,
    head: usize,
    query_streams: &'a [Data],
    key_streams: &'a [Data],
}

impl Attend {
    /// What the operands of a token leave in the cache.
    pub(super) fn key_row(&self, operands: &[Data]) -> KeyRow {
        KeyRow {
            k: operands[1].clone(),
            v: operands[2].clone(),
            streams: operands[3 + self.spec.query_streams..].to_vec(),
        }
    }

    /// Result `[heads, f]` at position `query`; `keys[j]` is the row of token `j`.
    pub(super) fn run(&self, query: usize, operands: &[Data], keys: &[KeyRow]) -> Vec<f64> {
        let query_streams = &operands[3..3 + self.spec.query_streams];
        let keys = if self.spec.causal {
            &keys[..keys.len().min(query + 1)]
        } else {
            keys
        };
        let mut out = Vec::with_capacity(self.heads * self.f);
        for head in 0..self.heads {
            let q = &operands[0][head * self.e..(head + 1) * self.e];
            let mut admitted = Vec::new();
            for (key, row) in keys.iter().enumerate() {
                let pair = Pair {
                    score: 0.0,
                    query,
                    key,
                    head,
                    query_streams,
                    key_streams: &row.streams,
                };
                if let Some(score) = self.score(q, row, pair) {
                    admitted.push((score, row));
                }
            }
            out.extend(self.weigh(admitted, head / self.group));
        }
        out
    }

    /// The score of one pair; `None` when the query does not see the key.
    fn score(&self, q: &[f64], row: &KeyRow, mut pair: Pair<'_>) -> Option<f64> {
        if self.spec.predicate.as_ref().is_some_and(|p| evaluate(p, &pair) == 0.0) {
            return None;
        }
        let start = pair.head / self.group * self.e;
        let product: f64 = q.iter().zip(&row.k[start..start + self.e]).map(|(a, b)| a * b).sum();
        pair.score = self.spec.scale * product;
        Some(self.spec.score.as_ref().map_or(pair.score, |s| evaluate(s, &pair)))
    }

    /// The weighted sum of the admitted keys' values.
    fn weigh(&self, admitted: Vec<(f64, &KeyRow)>, group: usize) -> Vec<f64> {
        let largest = admitted.iter().map(|(s, _)| *s).fold(f64::NEG_INFINITY, f64::max);
        let mut out = vec![0.0; self.f];
        let mut total = 0.0;
        for (score, row) in admitted {
            let weight = match self.spec.normaliser {
                // A score of minus infinity is the same as a key that is not seen.
                Normaliser::Softmax if largest == f64::NEG_INFINITY => 0.0,
                Normaliser::Softmax => (score - largest).exp(),
                Normaliser::Sum | Normaliser::None => score,
            };
            total += weight;
            for (o, v) in out.iter_mut().zip(&row.v[group * self.f..]) {
                *o += weight * v;
            }
        }
        let scale = match self.spec.normaliser {
            Normaliser::None => 1.0,
            Normaliser::Softmax | Normaliser::Sum if total == 0.0 => 0.0,
            Normaliser::Softmax | Normaliser::Sum => 1.0 / total,
        };
        out.iter_mut().for_each(|o| *o *= scale);
        out
    }
}

/// The value of a stream for a head.
fn of_head(stream: &[f64], head: usize) -> f64 {
    match stream {
        [scalar] => *scalar,
        heads => heads[head],
    }
}

fn evaluate(expr: &ScoreExpr, pair: &Pair<'_>) -> f64 {
    match expr {
        ScoreExpr::Score => pair.score,
        ScoreExpr::QueryPos => pair.query as f64,
        ScoreExpr::KeyPos => pair.key as f64,
        ScoreExpr::Head => pair.head as f64,
        ScoreExpr::QueryStream(n) => of_head(&pair.query_streams[*n], pair.head),
        ScoreExpr::KeyStream(n) => of_head(&pair.key_streams[*n], pair.head),
        ScoreExpr::Const(c) => *c,
        ScoreExpr::Unary(op, x) => apply_unary(*op, evaluate(x, pair)),
        ScoreExpr::Binary(op, x, y) => apply_binary(*op, false, evaluate(x, pair), evaluate(y, pair)),
        ScoreExpr::Select(c, a, b) => evaluate(if evaluate(c, pair) != 0.0 { a } else { b }, pair),
    }
}
