//! What one layer costs for a token: weights read, operations, steps, state, all closed forms in the context length.
//!
//! Everything is read off the graph and its plan. How long it takes is not known here: that is a matter of machines.

mod count;
mod decisions;

pub use count::{cost, of_recurrence};
pub use decisions::Decisions;

use crate::{
    attention::{
        clock_rate::ClockRate,
        policy_entries::{PolicyEntries, Share},
        span::AttentionSpan,
    },
    conv_partition::ConvPartition,
};

/// What a token reads of something that is there when weights are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The parameter; `None`: a tensor computed from parameters, in f32.
    pub param: Option<usize>,
    /// Entries that one token reads: of a table or of matrices that are picked by an index those that are picked.
    pub entries: usize,
    /// Each token picks rows of its own, so that a chunk reads more of them.
    pub rows: bool,
}

/// Work of nests in one kind of kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Arithmetic operations a token.
    pub operations: f64,
    /// The same weighted by what they take, in additions.
    pub weight: f64,
    /// What of the weight is sums over entries, or simple operations inside of them: each term waits for the one before.
    pub sums: f64,
}

impl Work {
    fn add(&mut self, other: Work) {
        self.operations += other.operations;
        self.weight += other.weight;
        self.sums += other.sums;
    }
}

/// An attention and its cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Arithmetic operations for one key that a query attends to, over all heads; a token is a query as often as the clock
    /// says.
    pub operations: f64,
    /// The same weighted, in additions.
    pub weight: f64,
    /// Bytes kept for a token, and read for each key that a query attends to.
    pub token_bytes: usize,
    /// What is kept.
    pub span: AttentionSpan,
    /// Most keys that a query sees of those, where it names them.
    pub named: Option<u64>,
    /// Which tokens are keys.
    pub rate: ClockRate,
    /// False: every query attends to the whole sequence.
    pub causal: bool,
    /// Where a policy says what is kept, instead of `token_bytes` and `span`.
    pub governed: Option<GovernedCache>,
}

/// A cache with a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct GovernedCache {
    /// How many entries it keeps.
    pub entries: PolicyEntries,
    /// What is stored of them.
    pub parts: Vec<EntryPart>,
    /// Additions that a token takes for an entry of one key head to update the numbers that the policy remembers of it.
    pub remembered: f64,
    /// What it takes to decide which entries leave and which blocks queries see.
    pub decisions: Decisions,
}

impl GovernedCache {
    /// What the token behind a prompt of `tokens` reads, in parts of so much each: of entries what it sees, of numbers of blocks all.
    fn read(&self, tokens: usize, each: impl Fn(&EntryPart) -> f64) -> f64 {
        let seen = self.share_seen(tokens);
        let read = |part: &EntryPart| {
            let share = if part.share == Share::Blocks { 1.0 } else { seen };
            each(part) * self.entries.at_end(part.share, tokens) * share
        };
        self.parts.iter().map(read).sum()
    }

    /// Keys of a key head that the token behind `tokens` sees; `prompt` as in [`PolicyEntries::count`].
    fn seen(&self, tokens: usize, prompt: Option<usize>) -> f64 {
        self.entries.next(tokens, prompt).seen
    }

    /// How much of the entries that are kept the token behind a prompt of `tokens` sees.
    fn share_seen(&self, tokens: usize) -> f64 {
        let all = self.entries.at_end(Share::All, tokens) / self.entries.heads() as f64;
        (self.seen(tokens, Some(tokens)) / all.max(1.0)).min(1.0)
    }

    /// Additions of decisions for that token: entries leave after some tokens, and a choice of blocks holds for some.
    fn decided(&self, tokens: usize, prompt: Option<usize>) -> f64 {
        let count = |share| self.entries.count(share, tokens, prompt);
        let blocks = count(Share::Blocks) / self.entries.heads() as f64;
        let leave = self.entries.next(tokens, prompt).events * self.decisions.entry * count(Share::All);
        leave + self.decisions.choice(blocks) / self.decisions.holds[usize::from(prompt.is_none())]
    }
}

/// A part of the entries of a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntryPart {
    /// Which entries have it.
    pub share: Share,
    /// Its bytes for one entry of one key head.
    pub bytes: f64,
    /// Additions that it takes to read them as numbers.
    pub unpacked: f64,
}

impl Cache {
    /// Keys that are attended to when `context` tokens have been read, which are a prompt.
    pub fn keys(&self, context: f64) -> f64 {
        let tokens = context as usize;
        match &self.governed {
            Some(cache) => cache.seen(tokens, Some(tokens)),
            None => {
                let kept = self.rate.kept(&self.span, context);
                self.named.map_or(kept, |named| kept.min(named as f64))
            }
        }
    }

    /// Bytes of keys and values that a query at position `context` reads.
    pub fn bytes(&self, context: f64) -> f64 {
        let Some(cache) = &self.governed else {
            return self.token_bytes as f64 * self.keys(context);
        };
        cache.read(context as usize, |part| part.bytes)
    }

    /// Additions of a query at position `context` beside those of its pairs with keys: codes become numbers, what a policy remembers
    /// of entries changes, and it is decided what stays and what is seen.
    pub fn policy_weight(&self, context: f64) -> f64 {
        let Some(cache) = &self.governed else { return 0.0 };
        let tokens = context as usize;
        cache.read(tokens, |part| part.unpacked)
            + cache.remembered * cache.entries.at_end(Share::All, tokens)
            + cache.decided(tokens, Some(tokens))
    }

    /// The same on average over the tokens of a prompt of `context` tokens, of which a chunk shares the numbers that codes become.
    pub fn mean_policy_weight(&self, context: f64, chunk: f64) -> f64 {
        let Some(cache) = &self.governed else { return 0.0 };
        let count = |share| cache.entries.count(share, context as usize, None);
        let mean = self.mean_keys(context) * cache.entries.heads() as f64;
        let unpacked: f64 = cache.parts.iter().map(|part| part.unpacked * count(part.share)).sum();
        // Decisions at the end of the prompt are made once.
        let decided = cache.decided(context as usize / 2, None);
        unpacked / count(Share::All).max(1.0) * mean / chunk + cache.remembered * mean + decided
    }

    /// Mean of [`Cache::bytes`] over the tokens of a prompt that has `context` of them, and goes on.
    pub fn mean_bytes(&self, context: f64) -> f64 {
        let mean = self.mean_keys(context);
        let Some(cache) = &self.governed else {
            return self.token_bytes as f64 * mean;
        };
        let count = |share| cache.entries.count(share, context as usize, None);
        let all: f64 = cache.parts.iter().map(|part| part.bytes * count(part.share)).sum();
        all / count(Share::All).max(1.0) * cache.entries.heads() as f64 * mean
    }

    /// Mean of [`Cache::keys`] over the tokens of a prompt that has `context` of them.
    pub fn mean_keys(&self, context: f64) -> f64 {
        let all = context * self.rate.share();
        if !self.causal {
            return all;
        }
        let limit = match &self.governed {
            Some(cache) => cache.seen(context as usize, None),
            None => self.keys(context),
        };
        // Up to the limit the number grows from token to token, then it stays.
        limit - limit * limit / (2.0 * all.max(1.0))
    }
}

/// A long convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// Channels, each with a filter of its own.
    pub channels: usize,
    /// How its sum is cut.
    pub blocks: ConvPartition,
}

impl Filter {
    /// Operations of a token, on average over `context` tokens.
    pub fn operations(&self, context: f64) -> f64 {
        self.channels as f64 * self.blocks.operations(context)
    }
}

/// The states of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanState {
    /// Their bytes.
    pub bytes: usize,
    /// Rows that a block of lanes reads for every token.
    pub rows: usize,
    /// Bytes of these for one lane.
    pub lane_bytes: usize,
    /// Its rows are on pages of their own, whose next one the processor does not foresee: a single token, which finds the state
    /// in memory, waits for every row.
    pub scattered: bool,
    /// A long chunk is computed as matrix products instead.
    pub products: bool,
}

/// Cost of one layer graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Entries of all parameters.
    pub parameters: usize,
    /// What a token reads of weights and what was computed from them.
    pub reads: Vec<Read>,
    /// Multiplications, each with an addition, in products with matrices.
    pub products: f64,
    /// Loops over entries, each token for itself.
    pub entries: Work,
    /// Recurrences that run entry by entry.
    pub scans: Work,
    /// Recurrences that run head by head.
    pub loops: Work,
    /// What matrix products save of the weight of scans and of heads in a long chunk.
    pub saved: [f64; 2],
    /// Everything that runs for one token after another, all threads at the same token.
    pub sequential: Work,
    /// Kernels that run once for a chunk.
    pub steps: usize,
    /// Kernels that run once for every token of a chunk.
    pub token_steps: usize,
    /// States of scans that see whole chunks.
    pub scanned: Vec<ScanState>,
    /// Bytes of the other recurrences' states, and of what a token reads and writes of the past of long filters.
    pub states: usize,
    /// Bytes of rows of earlier tokens: they are put in front of every chunk, and those of its end are stored.
    pub history: usize,
    /// Attentions.
    pub caches: Vec<Cache>,
    /// Long convolutions.
    pub filters: Vec<Filter>,
}

impl Cost {
    /// Bytes of recurrences and of earlier rows that a token reads and writes when tokens come one by one.
    pub fn moved_bytes(&self) -> f64 {
        let scanned: usize = self.scanned.iter().map(|s| s.bytes).sum();
        2.0 * (scanned + self.states + self.history) as f64
    }

    /// Those of states each of whose rows starts on another page.
    pub fn scattered_bytes(&self) -> f64 {
        let scattered = self.scanned.iter().filter(|s| s.scattered);
        2.0 * scattered.map(|s| s.bytes as f64).sum::<f64>()
    }

    /// Operations of a token beside attention: a product counts two for each multiplication.
    pub fn fixed_operations(&self) -> f64 {
        2.0 * self.products
            + self.entries.operations
            + self.scans.operations
            + self.loops.operations
            + self.sequential.operations
    }

    /// Operations of long convolutions for a token, on average over `context` tokens.
    pub fn filter_operations(&self, context: f64) -> f64 {
        self.filters.iter().map(|f| f.operations(context)).sum()
    }

    /// Operations of the token at position `context`.
    pub fn decode_operations(&self, context: f64) -> f64 {
        let seen = |cache: &Cache| cache.operations * cache.keys(context);
        self.fixed_operations() + self.filter_operations(context) + self.caches.iter().map(seen).sum::<f64>()
    }

    /// Operations of a token of a prompt of `context` tokens, on average.
    pub fn prefill_operations(&self, context: f64) -> f64 {
        let seen = |cache: &Cache| cache.operations * cache.mean_keys(context);
        self.fixed_operations() + self.filter_operations(context) + self.caches.iter().map(seen).sum::<f64>()
    }

    /// Bytes of caches that the token at position `context` reads.
    pub fn cache_bytes(&self, context: f64) -> f64 {
        self.caches.iter().map(|cache| cache.bytes(context)).sum()
    }
}

#[cfg(test)]
mod tests;
