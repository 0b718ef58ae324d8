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
/// What an end needs at first.
const FIRST: usize = 3;

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
    /// Tokens that must have stood before: more after drafts that were wrong.
    needed: usize,
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
            needed: FIRST,
            totals: DraftTotals::default(),
        }
    }

    /// At most `most` tokens that may come after a text; the more of its end stood before, the more.
    pub fn draft(&self, text: &[i64], most: usize) -> Vec<i64> {
        match earlier(text) {
            Some(earlier) if earlier.same >= self.needed => {
                let most = most.min(self.drafting.lookup).min(2 * earlier.same - 1);
                continued(&text[earlier.place..], most)
            }
            _ => Vec::new(),
        }
    }

    /// Takes notice of how many tokens of a draft the model chose.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        self.totals.drafted += drafted as u64;
        self.totals.accepted += accepted as u64;
        self.needed = match 2 * accepted >= drafted {
            true => (self.needed / 2).max(SHORTEST),
            false => (2 * self.needed).min(LONGEST),
        };
    }

    /// What became of all drafts.
    pub fn totals(&self) -> DraftTotals {
        self.totals
    }
}

/// Where the end of a text stood before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Earlier {
    /// What came after it begins here.
    place: usize,
    /// How many of the last tokens stood there.
    same: usize,
}

/// The last place where the longest end of a text stood before.
fn earlier(text: &[i64]) -> Option<Earlier> {
    let mut best: Option<Earlier> = None;
    for place in (1..text.len()).rev() {
        let before = text[..place].iter().rev().zip(text.iter().rev());
        let same = before.take(LONGEST).take_while(|(a, b)| a == b).count();
        if same > best.map_or(0, |best| best.same) {
            best = Some(Earlier { place, same });
        }
        if same == LONGEST {
            break;
        }
    }
    best
}

/// The first `most` tokens of what came after the end of a text before, which may run into the text itself.
fn continued(after: &[i64], most: usize) -> Vec<i64> {
    after.iter().copied().cycle().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(text: &[i64], most: usize) -> Vec<i64> {
        let mut speculation = Speculation::new(Drafting { lookup: 100 });
        speculation.judge(1, 1);
        speculation.draft(text, most)
    }

    #[test]
    fn drafts_are_what_came_after_the_longest_end() {
        assert_eq!(lookup(&[1, 2, 3, 4, 1, 2], 3), [3, 4, 1]);
        assert_eq!(lookup(&[9, 1, 2, 3, 0, 1, 2, 4, 9, 1, 2], 1), [3]);
        assert_eq!(lookup(&[0, 1, 2, 3, 0, 1, 2, 4, 1, 2], 1), [4]);
        assert_eq!(lookup(&[1, 2, 3, 2], 3), [0; 0]);
        assert_eq!(lookup(&[], 3), [0; 0]);
        assert_eq!(lookup(&[7, 5, 6, 5, 6, 5, 6], 5), [5, 6, 5, 6, 5]);
        assert_eq!(lookup(&[5, 5, 5, 5], 4), [5, 5, 5, 5]);
        assert_eq!(lookup(&[1, 2, 1, 2], 0), [0; 0]);
        // Two tokens that stood before are no ground for many.
        assert_eq!(lookup(&[1, 2, 1, 2], 9).len(), 3);
    }

    #[test]
    fn wrong_drafts_make_the_next_ones_rarer() {
        let text: Vec<i64> = (0..9).chain(0..5).collect();
        let mut speculation = Speculation::new(Drafting { lookup: 7 });
        let mut length = |accepted: usize| {
            let drafted = speculation.draft(&text, 100).len();
            speculation.judge(drafted, accepted);
            drafted
        };
        // Five tokens stood before: at first three are enough, after a wrong draft six are needed.
        assert_eq!([length(4), length(3), length(0)], [7, 7, 7]);
        assert!(speculation.draft(&text, 100).is_empty());
        let longer: Vec<i64> = (0..9).chain(0..8).collect();
        assert_eq!(speculation.draft(&longer, 100).len(), 7);
        assert_eq!(speculation.draft(&longer, 2).len(), 2);
        let totals = DraftTotals {
            drafted: 21,
            accepted: 7,
        };
        assert_eq!(speculation.totals(), totals);
    }
}
