//! Numbers of the entries of a cache: reduced, pooled, ranked. Whoever counts entries without evaluating attention uses the same.

use crate::{
    PairExpr, ReduceOp,
    policy::{Kind, Window},
};

/// The reduction of some numbers; of none, 0. The largest and the smallest are those of what is a number; where that is infinite
/// because there is nothing else, 0.
pub fn reduce(how: ReduceOp, values: impl Iterator<Item = f64>) -> f64 {
    let of_some = |x: f64, none: f64| if x == none { 0.0 } else { x };
    match how {
        ReduceOp::Sum => values.sum(),
        ReduceOp::Prod => values.reduce(|a, b| a * b).unwrap_or(0.0),
        ReduceOp::Max => of_some(values.fold(f64::NEG_INFINITY, f64::max), f64::NEG_INFINITY),
        ReduceOp::Min => of_some(values.fold(f64::INFINITY, f64::min), f64::INFINITY),
    }
}

/// The reduction of those numbers among which `among` counts; of none, 0.
pub fn reduce_among(how: ReduceOp, values: &[f64], among: &[bool]) -> f64 {
    let counted = values.iter().zip(among).filter(|(_, counts)| **counts);
    reduce(how, counted.map(|(x, _)| *x))
}

/// [`crate::policy::Kind::Pool`] of the numbers `value(slot)`, over those slots `among` which they count.
pub fn pool(how: ReduceOp, window: Window, among: &[bool], value: impl Fn(usize) -> f64) -> Vec<f64> {
    let around = |slot: usize| {
        let size = window.size.max(1);
        let (first, end) = match window.pages {
            true => (slot - slot % size, slot - slot % size + size),
            false => (slot.saturating_sub(size / 2), slot + (size - 1) / 2 + 1),
        };
        let near = first..end.min(among.len());
        reduce(how, near.filter(|at| among[*at]).map(&value))
    };
    (0..among.len()).map(around).collect()
}

/// [`crate::policy::Kind::Search`]: 1 for the blocks that are found, else 0.
pub fn search(values: &[f64], count: usize) -> Vec<f64> {
    let blocks = values.len();
    let mut found = vec![0.0; blocks];
    if blocks <= count {
        found.fill(1.0);
        return found;
    }
    let mut groups: Vec<(usize, usize)> = (0..count)
        .map(|g| (blocks * g / count, blocks * (g + 1) / count))
        .collect();
    while groups.iter().any(|(low, high)| high - low > 1) {
        let halves = groups.iter().flat_map(|(low, high)| {
            let middle = low + (high - low) / 2;
            [(*low, middle), (middle, *high)]
        });
        let halves: Vec<(usize, usize)> = halves.filter(|(low, high)| low < high).collect();
        let of: Vec<f64> = halves.iter().map(|(low, high)| values[(low + high) / 2]).collect();
        let best = top(&of, count as f64, &vec![true; of.len()]);
        let kept = halves.iter().zip(best).filter(|(_, best)| *best != 0.0);
        groups = kept.map(|(half, _)| *half).collect();
    }
    groups.iter().for_each(|(low, _)| found[*low] = 1.0);
    found
}

/// [`crate::policy::Kind::Top`]: 1 for the `count` largest values among some, of equal values for the lower slots, else 0.
pub fn top(values: &[f64], count: f64, among: &[bool]) -> Vec<f64> {
    // What is no number does not compete; the two zeros are equal.
    let competes = |at: &usize| among[*at] && !values[*at].is_nan();
    let mut order: Vec<usize> = (0..values.len()).filter(competes).collect();
    // A negative number of entries is none.
    let count = count.max(0.0) as usize;
    if count > 0 && count < order.len() {
        let larger = |a: &usize, b: &usize| values[*b].partial_cmp(&values[*a]).unwrap_or(std::cmp::Ordering::Equal);
        order.select_nth_unstable_by(count - 1, |a, b| larger(a, b).then(a.cmp(b)));
    }
    let mut out = vec![0.0; values.len()];
    order.iter().take(count).for_each(|at| out[*at] = 1.0);
    out
}

/// [`crate::policy::Kind::Fewest`]: how many of the largest positive values among some add up to `sum`.
pub fn fewest(values: &[f64], sum: f64, among: &[bool]) -> f64 {
    if sum <= 0.0 {
        return 0.0;
    }
    let counted = values.iter().zip(among).filter(|(x, counts)| **counts && **x > 0.0);
    let mut order: Vec<f64> = counted.map(|(x, _)| *x).collect();
    order.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut total = 0.0;
    let enough = order.iter().position(|x| {
        total += x;
        total >= sum
    });
    enough.map_or(order.len(), |last| last + 1) as f64
}

/// A key head whose entries can be compared with those of others.
pub trait KeyHead {
    /// A function of each entry.
    fn of_entries(&self, e: &PairExpr) -> Vec<f64>;
    /// A function of numbers of the cache.
    fn number(&self, e: &PairExpr) -> f64;
    /// Positions of the entries' tokens, ascending.
    fn positions(&self) -> Vec<f64>;
}

/// The values of a definition for which key heads decide together, for each of them; `None` for one that reads nothing of other heads.
pub fn joined(kind: &Kind, heads: &[&mut impl KeyHead]) -> Option<Vec<Vec<f64>>> {
    match kind {
        Kind::Top {
            by,
            count,
            among,
            heads: true,
        } => {
            let entries = heads.iter().map(|head| HeadEntries {
                values: head.of_entries(by),
                among: head.of_entries(among).iter().map(|x| *x != 0.0).collect(),
                positions: head.positions(),
            });
            let entries: Vec<HeadEntries> = entries.collect();
            Some(top_of_heads(
                &entries,
                heads.first().map_or(0.0, |head| head.number(count)),
            ))
        }
        Kind::Heads { of, how, .. } => {
            let values: Vec<Vec<f64>> = heads.iter().map(|head| head.of_entries(of)).collect();
            let values: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
            Some(reduce_heads(*how, &values))
        }
        _ => None,
    }
}

/// A number of each entry of a key head, for what all key heads decide together.
pub struct HeadEntries {
    /// The numbers.
    pub values: Vec<f64>,
    /// Which entries compete.
    pub among: Vec<bool>,
    /// Positions of their tokens, ascending.
    pub positions: Vec<f64>,
}

/// [`crate::policy::Kind::Top`] over the entries of all heads: 1 for the `count` largest values among some, of equal values those of earlier
/// tokens, then of lower heads, else 0.
pub fn top_of_heads(heads: &[HeadEntries], count: f64) -> Vec<Vec<f64>> {
    let places = heads.iter().enumerate().flat_map(|(n, head)| {
        let entry = move |at: usize| (head.positions[at], n, at);
        (0..head.values.len()).map(entry)
    });
    let mut places: Vec<(f64, usize, usize)> = places.collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let values: Vec<f64> = places.iter().map(|(_, n, at)| heads[*n].values[*at]).collect();
    let among: Vec<bool> = places.iter().map(|(_, n, at)| heads[*n].among[*at]).collect();
    let mut out: Vec<Vec<f64>> = heads.iter().map(|head| vec![0.0; head.values.len()]).collect();
    for ((_, n, at), best) in places.iter().zip(top(&values, count, &among)) {
        out[*n][*at] = best;
    }
    out
}

/// [`crate::policy::Kind::Heads`] of entries: the reduction over the slots with the same number of all heads that have one.
pub fn reduce_heads(how: ReduceOp, heads: &[&[f64]]) -> Vec<Vec<f64>> {
    let longest = heads.iter().map(|head| head.len()).max().unwrap_or(0);
    let of = |slot: usize| reduce(how, heads.iter().filter_map(|head| head.get(slot).copied()));
    let found: Vec<f64> = (0..longest).map(of).collect();
    heads.iter().map(|head| found[..head.len()].to_vec()).collect()
}

/// Weights of scores under one softmax; none where nothing is seen.
pub(super) fn normalised(mut scores: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let largest = scores.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = |s: f64| {
        if largest == f64::NEG_INFINITY {
            0.0
        } else {
            (s - largest).exp()
        }
    };
    scores.iter_mut().flatten().for_each(|s| *s = weight(*s));
    let total: f64 = scores.iter().flatten().sum();
    if total > 0.0 {
        scores.iter_mut().flatten().for_each(|s| *s /= total);
    }
    scores
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
