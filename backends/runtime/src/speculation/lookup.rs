//! Prompt lookup (Saxena 2023): the tokens that came after the end of the text where it stood before.

/// The longest end of a text that is looked for.
const LONGEST: usize = 8;
/// The shortest: single words stand everywhere.
const SHORTEST: usize = 2;
/// What an end needs at first.
const FIRST: usize = 3;

/// Drafts by prompt lookup, as long as they turn out to be right.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// The most tokens of a draft.
    most: usize,
    /// Tokens that must have stood before: more after drafts that were wrong.
    needed: usize,
}

impl Lookup {
    /// No drafts yet.
    pub(super) fn new(most: usize) -> Lookup {
        Lookup { most, needed: FIRST }
    }

    /// At most `most` tokens that may come after a text; the more of its end stood before, the more.
    pub(super) fn draft(&self, text: &[i64], most: usize) -> Vec<i64> {
        match earlier(text) {
            Some(earlier) if earlier.same >= self.needed => {
                let most = most.min(self.most).min(2 * earlier.same - 1);
                continued(&text[earlier.place..], most)
            }
            _ => Vec::new(),
        }
    }

    /// Takes notice of how many tokens of a draft the model chose.
    pub(super) fn judge(&mut self, drafted: usize, accepted: usize) {
        self.needed = match 2 * accepted >= drafted {
            true => (self.needed / 2).max(SHORTEST),
            false => (2 * self.needed).min(LONGEST),
        };
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
        let mut lookup = Lookup::new(100);
        lookup.judge(1, 1);
        lookup.draft(text, most)
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
        let mut lookup = Lookup::new(7);
        let mut length = |accepted: usize| {
            let drafted = lookup.draft(&text, 100).len();
            lookup.judge(drafted, accepted);
            drafted
        };
        // Five tokens stood before: at first three are enough, after a wrong draft six are needed.
        assert_eq!([length(4), length(3), length(0)], [7, 7, 7]);
        assert!(lookup.draft(&text, 100).is_empty());
        let longer: Vec<i64> = (0..9).chain(0..8).collect();
        assert_eq!(lookup.draft(&longer, 100).len(), 7);
        assert_eq!(lookup.draft(&longer, 2).len(), 2);
    }
}
