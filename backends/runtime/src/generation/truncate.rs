//! Which tokens may be drawn: the most likely ones, by number, by probability, or by how typical they are.

/// Tokens that are sorted at once, where few of many are wanted in order.
const BLOCK: usize = 256;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub token: usize,
    /// Its probability, up to a factor that all candidates share.
    pub weight: f64,
    /// What it is ranked by, smallest first.
    rank: f64,
}

impl Candidate {
    /// A token with its weight.
    pub(super) fn new(token: usize, weight: f64) -> Candidate {
        Candidate {
            token,
            weight,
            rank: -weight,
        }
    }

    fn order(&self, other: &Candidate) -> std::cmp::Ordering {
        self.rank.total_cmp(&other.rank).then(self.token.cmp(&other.token))
    }
}

/// The weight of all.
pub(super) fn total(kept: &[Candidate]) -> f64 {
    kept.iter().map(|candidate| candidate.weight).sum()
}

/// Keeps the `k` most likely; 0: all.
pub(super) fn top_k(kept: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < kept.len() {
        kept.select_nth_unstable_by(k - 1, Candidate::order);
        kept.truncate(k);
    }
}

/// Keeps the fewest most likely tokens with the share `p` of all probability.
pub(super) fn top_p(kept: &mut Vec<Candidate>, p: f32) {
    if p < 1.0 {
        keep_first(kept, p);
    }
}

/// Keeps the tokens at least `p` times as likely as the most likely one.
pub(super) fn min_p(kept: &mut Vec<Candidate>, p: f32) {
    let best = kept.iter().map(|candidate| candidate.weight).fold(0.0, f64::max);
    kept.retain(|candidate| candidate.weight >= f64::from(p) * best);
}

/// Keeps the fewest tokens with the share `p` of all probability among those whose information `-ln q` differs least from
/// the entropy, which is its mean.
pub(super) fn typical_p(kept: &mut Vec<Candidate>, p: f32) {
    if p >= 1.0 {
        return;
    }
    let all = total(kept);
    let information = |candidate: &Candidate| -(candidate.weight / all).ln();
    let entropy: f64 = kept
        .iter()
        .map(|candidate| candidate.weight / all * information(candidate))
        .sum();
    for candidate in kept.iter_mut() {
        candidate.rank = (information(candidate) - entropy).abs();
    }
    keep_first(kept, p);
}

/// Keeps the shortest start of the ranking with the share `p` of all weight. Only as much is sorted as is looked at.
fn keep_first(kept: &mut Vec<Candidate>, p: f32) {
    let enough = f64::from(p) * total(kept);
    let (mut seen, mut sorted, mut block) = (0.0, 0, BLOCK);
    while sorted < kept.len() {
        let rest = &mut kept[sorted..];
        block = block.min(rest.len());
        if block < rest.len() {
            rest.select_nth_unstable_by(block - 1, Candidate::order);
        }
        rest[..block].sort_unstable_by(Candidate::order);
        let last = rest[..block].iter().position(|candidate| {
            seen += candidate.weight;
            seen >= enough
        });
        if let Some(last) = last {
            kept.truncate(sorted + last + 1);
            return;
        }
        sorted += block;
        block *= 4;
    }
}
