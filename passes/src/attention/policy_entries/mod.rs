//! How many entries a cache policy keeps and codes, after so many tokens of which so many are a prompt.
//!
//! Which entries stay depends on data, their number hardly ever does: it follows by running the policy on arbitrary numbers (`head`). Where it does
//! depend on them, as behind a threshold, no more is known than that there is at most one for each token.
//! Where it is a closed form in both lengths, that is found on some lengths and checked on others (`closed`, `search`).

mod closed;
mod column;
mod head;
mod search;
mod seen;
mod share;
#[cfg(test)]
mod tests;

use closed::Closed;
use head::{Arbitrary, Count};
pub use seen::Next;
use seqc_ir::policy::Policy;
pub use share::Share;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Longest context that a policy without a closed form is run for; from there on numbers go on as between the half of it and it.
const LONGEST: usize = 1 << 15;

/// The two lengths between which a length is, of those that have three significant binary digits and more: a policy is run for few of them.
fn neighbours(tokens: usize) -> [usize; 2] {
    let step = (tokens / 8).checked_ilog2().map_or(1, |digits| 1 << digits);
    let low = tokens - tokens % step;
    [low, if low == tokens { low } else { low + step }]
}

/// The numbers of entries of an attention with a policy. They are found when they are asked for.
#[derive(Clone, Debug)]
pub struct PolicyEntries(Arc<Found>);

#[derive(Debug)]
struct Found {
    policy: Policy,
    /// Key heads.
    heads: usize,
    /// A closed form for each share.
    forms: OnceLock<Vec<Option<Closed>>>,
    /// Whether data decide how many there are.
    by_data: OnceLock<bool>,
    /// After each token, where no prompt has ended.
    open: Mutex<Vec<Count>>,
    /// After some tokens with some prompt.
    known: Mutex<HashMap<(usize, usize), Count>>,
    /// What the token after some tokens with some prompt does.
    next: Mutex<HashMap<(usize, Option<usize>), Next>>,
}

impl PartialEq for PolicyEntries {
    fn eq(&self, other: &PolicyEntries) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.heads == other.0.heads && self.0.policy == other.0.policy
    }
}

impl PolicyEntries {
    /// Of a policy on so many key heads.
    pub fn new(policy: &Policy, heads: usize) -> PolicyEntries {
        PolicyEntries(Arc::new(Found {
            policy: policy.clone(),
            heads,
            forms: OnceLock::new(),
            by_data: OnceLock::new(),
            open: Mutex::default(),
            known: Mutex::default(),
            next: Mutex::default(),
        }))
    }

    /// Key heads.
    pub fn heads(&self) -> usize {
        self.0.heads
    }

    /// Entries of all key heads after so many tokens, the first `prompt` of which are a prompt; `None`: a prompt that goes on.
    pub fn count(&self, share: Share, tokens: usize, prompt: Option<usize>) -> f64 {
        let found = &self.0;
        // A prompt that is longer goes on.
        let prompt = prompt.filter(|prompt| *prompt <= tokens && found.policy.prompt_matters());
        let heads = found.heads as f64 / search::distinct(&found.policy, found.heads) as f64;
        heads * self.of_distinct(share, tokens, prompt)
    }

    /// The same at the end of a prompt of so many tokens.
    pub fn at_end(&self, share: Share, tokens: usize) -> f64 {
        self.count(share, tokens, Some(tokens))
    }

    /// What the token behind so many tokens does; `prompt` as in [`count`](PolicyEntries::count). Where queries choose, they choose by
    /// arbitrary numbers.
    pub fn next(&self, tokens: usize, prompt: Option<usize>) -> Next {
        let found = &self.0;
        let sights = &found.policy.sights;
        if found.policy.evict.is_none() && sights.iter().all(|sight| sight.seen.is_none()) {
            let entries = self.count(Share::All, tokens, prompt) / found.heads as f64;
            return Next {
                seen: entries * sights.len() as f64,
                events: 0.0,
            };
        }
        // Where none leaves, a token takes no time.
        let longest = if found.policy.evict.is_some() {
            LONGEST / 4
        } else {
            LONGEST
        };
        let [low, high] = match tokens {
            tokens if tokens > longest => [longest / 2, longest],
            tokens => neighbours(tokens),
        };
        let at = |tokens: usize| {
            let prompt = prompt.map(|prompt| prompt.min(tokens));
            let mut known = found.next.lock().unwrap_or_else(PoisonError::into_inner);
            let run = || search::next(&found.policy, found.heads, prompt, tokens);
            *known.entry((tokens, prompt)).or_insert_with(run)
        };
        if low == high {
            return at(low);
        }
        at(low).towards(at(high), (tokens - low) as f64 / (high - low) as f64)
    }

    /// Sum over the heads that differ; every token, which is the most there can be, where data decide.
    fn of_distinct(&self, share: Share, tokens: usize, prompt: Option<usize>) -> f64 {
        if let Some(form) = self.form(share)
            && let Some(count) = form.count(tokens, prompt)
        {
            return count as f64;
        }
        let found = &self.0;
        if *found
            .by_data
            .get_or_init(|| search::depends_on_data(&found.policy, found.heads))
        {
            return (tokens * search::distinct(&found.policy, found.heads)) as f64;
        }
        if tokens <= LONGEST {
            return share.of(self.run(tokens, prompt)) as f64;
        }
        let at = |tokens: usize| share.of(self.run(tokens, prompt.map(|prompt| prompt.min(tokens)))) as f64;
        let (half, whole) = (at(LONGEST / 2), at(LONGEST));
        whole + (whole - half) / (LONGEST - LONGEST / 2) as f64 * (tokens - LONGEST) as f64
    }

    fn form(&self, share: Share) -> Option<&Closed> {
        let find = || search::forms(&self.0.policy, self.0.heads);
        let place = Share::EACH.iter().position(|one| *one == share)?;
        self.0.forms.get_or_init(find).get(place)?.as_ref()
    }

    fn run(&self, tokens: usize, prompt: Option<usize>) -> Count {
        let found = &self.0;
        let Some(last) = tokens.checked_sub(1) else {
            return Count::default();
        };
        let Some(prompt) = prompt else {
            let mut open = found.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.len() < tokens {
                *open = search::counts(&found.policy, found.heads, None, tokens, Arbitrary::USUAL);
            }
            return open[last];
        };
        let mut known = found.known.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || search::counts(&found.policy, found.heads, Some(prompt), tokens, Arbitrary::USUAL)[last];
        *known.entry((tokens, prompt)).or_insert_with(run)
    }

    /// The number of entries of a key head as text, in the length `T` of the context and `P` of the prompt; the mean where heads differ.
    pub fn words(&self, share: Share) -> String {
        let distinct = search::distinct(&self.0.policy, self.0.heads);
        match (self.form(share).and_then(Closed::words), distinct) {
            (Some(words), 1) => words,
            (Some(words), heads) => self
                .form(share)
                .and_then(|form| form.divided(heads)?.words())
                .unwrap_or_else(|| format!("({words}) / {heads}")),
            (None, _) => "at most T".to_owned(),
        }
    }

    /// Entries of all key heads at the end of a prompt of `T` tokens, where that is a multiple of `min(T, limit)`: the multiple and the
    /// limit, if there is one.
    pub fn growth_at_end(&self, share: Share) -> Option<(usize, Option<usize>)> {
        let distinct = search::distinct(&self.0.policy, self.0.heads);
        let (slope, constant) = self.form(share)?.line_at_end()?;
        let heads = self.0.heads;
        match (slope, usize::try_from(constant).ok()?) {
            (0, 0) => Some((heads, Some(0))),
            (0, limit) if limit % distinct == 0 => {
                let limit = limit / distinct;
                let full = |tokens: usize| self.at_end(share, tokens) == (heads * tokens.min(limit)) as f64;
                let grows = [1, limit / 2, limit.saturating_sub(1), limit, limit + 1]
                    .into_iter()
                    .all(full);
                grows.then_some((heads, Some(limit)))
            }
            (slope, 0) if slope as usize == distinct => Some((heads, None)),
            _ => None,
        }
    }
}
