//! Speculative decoding: tokens are drafted, read in one step with the one before, and kept as far as they are those that the
//! model chooses.
//!
//! A drafted token is kept exactly if the sampler chooses it from the logits before it. As the draft proposes one token with
//! certainty, that is the acceptance rule of speculative sampling (Leviathan et al. 2023): it is kept with the probability that
//! the model gives it, and otherwise another token is drawn from what is left. So the distribution of answers is that without
//! drafts, and the draws of a seed are the same.

/// The longest end of a text that is looked for.
const LONGEST: usize = 8;
/// The shortest: single words stand everywhere.
const SHORTEST: usize = 2;

/// How tokens are drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drafting {
    /// Prompt lookup (Saxena 2023): the tokens that came after the end of the text where it stood before, at most so many.
    pub lookup: usize,
}

/// Drafts for one answer, as long as they turn out to be right.
#[derive(Clone, Debug)]
pub struct Speculation {
    drafting: Drafting,
    /// Tokens that the next draft may have: fewer after drafts that were wrong.
    most: usize,
    totals: DraftTotals,
}

/// What became of drafts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DraftTotals {
    /// Tokens that were drafted and read.
    pub drafted: u64,
    /// Tokens of these that the model chose.
    pub accepted: u64,
}

impl Speculation {
    /// No drafts yet.
    pub fn new(drafting: Drafting) -> Speculation {
        Speculation {
            drafting,
            most: drafting.lookup,
            totals: DraftTotals::default(),
        }
    }

    /// At most `most` tokens that may come after a text.
    pub fn draft(&self, text: &[i64], most: usize) -> Vec<i64> {
        lookup(text, most.min(self.most))
    }

    /// Takes notice of how many tokens of a draft the model chose.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        self.totals.drafted += drafted as u64;
        self.totals.accepted += accepted as u64;
        self.most = match accepted == drafted {
            true => (2 * self.most).min(self.drafting.lookup),
            false => accepted.max(1),
        };
    }

    /// What became of all drafts.
    pub fn totals(&self) -> DraftTotals {
        self.totals
    }
}

/// What came after the last place where the longest end of the text stood before; it may run into itself.
fn lookup(text: &[i64], most: usize) -> Vec<i64> {
    let mut best = (SHORTEST - 1, None);
    for place in (1..text.len()).rev() {
        let before = text[..place].iter().rev().zip(text.iter().rev());
        let same = before.take(LONGEST).take_while(|(a, b)| a == b).count();
        if same > best.0 {
            best = (same, Some(place));
        }
        if same == LONGEST {
            break;
        }
    }
    let Some(place) = best.1 else {
        return Vec::new();
    };
    let mut all = text[place..].to_vec();
    let period = all.len();
    (all.len()..most).for_each(|n| all.push(all[n - period]));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_are_what_came_after_the_longest_end() {
        assert_eq!(lookup(&[1, 2, 3, 4, 1, 2], 3), [3, 4, 1]);
        assert_eq!(lookup(&[9, 1, 2, 3, 0, 1, 2, 4, 9, 1, 2], 1), [3]);
        assert_eq!(lookup(&[0, 1, 2, 3, 0, 1, 2, 4, 1, 2], 1), [4]);
        assert_eq!(lookup(&[1, 2, 3, 2], 3), [0; 0]);
        assert_eq!(lookup(&[], 3), [0; 0]);
        assert_eq!(lookup(&[7, 5, 6, 5, 6], 5), [5, 6, 5, 6, 5]);
        assert_eq!(lookup(&[5, 5, 5], 4), [5, 5, 5, 5]);
        assert_eq!(lookup(&[1, 2, 1, 2], 0), [0; 0]);
    }

    #[test]
    fn wrong_drafts_make_the_next_ones_shorter() {
        let text = [1, 2, 1, 2];
        let mut speculation = Speculation::new(Drafting { lookup: 8 });
        let mut length = |accepted: usize| {
            let drafted = speculation.draft(&text, 100).len();
            speculation.judge(drafted, accepted);
            drafted
        };
        assert_eq!([length(3), length(0), length(1), length(2)], [8, 3, 1, 2]);
        assert_eq!(speculation.draft(&text, 100).len(), 4);
        assert_eq!(speculation.draft(&text, 2).len(), 2);
        let totals = DraftTotals {
            drafted: 14,
            accepted: 6,
        };
        assert_eq!(speculation.totals(), totals);
    }
}
