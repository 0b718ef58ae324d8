//! What the matrix form of a recurrence costs, compared with going token by token; both in additions of a scan.

use super::{Chunked, Chunks, Costs, Settings};
use crate::machine::Machine;

/// The sizes that both forms of a recurrence depend on.
pub(super) struct MatrixCost<'m> {
    heads: f64,
    /// Entries of a value.
    p: usize,
    /// Entries of a key.
    n: usize,
    /// Heads in a row that have the same keys and queries.
    shared: f64,
    /// Reads of the state by results of a token.
    queries: f64,
    /// Products that a token adds to the state.
    writes: f64,
    /// Those whose values a delta rule corrects by what the state holds.
    corrected: f64,
    /// Those of them that read a state on the way to the next one, which is computed and stored for that.
    on_the_way: f64,
    /// The decay differs from key to key.
    diagonal: bool,
    machine: &'m Machine,
}

impl<'m> MatrixCost<'m> {
    /// The last two of `sizes` are `p` and `n`, all others are heads.
    pub(super) fn new(form: &Chunked, sizes: &[usize], machine: &'m Machine) -> MatrixCost<'m> {
        let (heads, rest) = sizes.split_at(sizes.len().saturating_sub(2));
        MatrixCost {
            heads: heads.iter().product::<usize>() as f64,
            p: rest.first().copied().unwrap_or(1),
            n: rest.last().copied().unwrap_or(1),
            shared: form.shared as f64,
            queries: form.queries.len() as f64,
            writes: form.writes.len() as f64,
            corrected: form.corrected() as f64,
            on_the_way: form.writes.iter().filter(|write| write.reads_own_token()).count() as f64,
            diagonal: form.diagonal,
            machine,
        }
    }

    /// Chooses the block, and from which length on chunks are products.
    pub(super) fn choose(&self, form: &mut Chunked, chunks: Chunks) {
        let whole = |block: usize| self.products(block, Settings::CHUNK);
        let blocks = self.machine.recurrence_blocks.into_iter();
        form.block = blocks
            .min_by(|a, b| whole(*a).total_cmp(&whole(*b)))
            .unwrap_or(form.block);
        form.costs = Costs {
            by_tokens: self.by_tokens(),
            products: whole(form.block),
        };
        // From the end: the shortest chunk that is cheaper, and all longer ones are.
        let cheaper = |tokens: &usize| self.products(form.block, *tokens) < form.costs.by_tokens;
        form.shortest = match chunks {
            // Single tokens have a function of their own.
            Chunks::Cheapest => (2..=Settings::CHUNK).rev().take_while(cheaper).last(),
            Chunks::Products => Some(1),
            Chunks::Tokens => None,
        };
    }

    /// Additions of a token in a scan, or with loops of its own for decay, outer product, sum, contraction and correction.
    fn by_tokens(&self) -> f64 {
        let rates = &self.machine.rates;
        let wide = self.p.is_multiple_of(self.machine.scan_lanes as usize);
        let each = match (self.corrected > 0.0, wide) {
            (true, _) => rates.head_entry * (self.corrected + self.on_the_way),
            (false, true) => rates.scan_entry,
            (false, false) => rates.scan_entry * rates.narrow,
        };
        // A product that is only added is one of the steps of a scan that decays, adds, multiplies and sums.
        let added = rates.scan_entry / 6.0 * (self.writes - self.corrected.max(1.0));
        // A further sum is two of its steps.
        let read = rates.scan_entry / 3.0 * (self.queries - 1.0);
        self.heads * ((each + added + read) * (self.p * self.n) as f64)
    }

    /// Additions for a token of a chunk of `tokens` that is computed as products over blocks.
    fn products(&self, block: usize, tokens: usize) -> f64 {
        let whole = (tokens / block) as f64 * self.block(block);
        let rest = tokens % block;
        self.heads * ((whole + if rest > 0 { self.block(rest) } else { 0.0 }) / tokens as f64)
    }

    /// Additions of a block of tokens of one head. What remains of a block takes a whole tile.
    fn block(&self, tokens: usize) -> f64 {
        let (rates, tile) = (&self.machine.rates, self.machine.tallest_tile() as usize);
        let p = self.p.next_multiple_of(self.machine.lanes as usize) as f64;
        let (n, shared) = (self.n as f64, self.shared);
        // A correction has scores, a product with the state and rows of its own.
        let (reads, writes) = (self.queries + self.corrected, self.writes);
        let (tall, tokens) = (tokens.next_multiple_of(tile) as f64, tokens as f64);
        let among = reads * writes * tall * (tokens + tile as f64) / 2.0 * (p + n / shared);
        let with_state = (reads * tall + writes * tokens + rates.state) * p * n;
        let moved = tokens * ((self.queries + 2.0 * writes) * p + reads * n + (reads + 2.0 * writes) * n / shared);
        rates.product * (among + with_state) + rates.moved * (moved + self.decayed(tokens) / shared)
    }

    /// Numbers that are moved where decays differ from key to key: in a sub-block, whose tokens are as many as the lanes, keys decay
    /// from token to token and meet each query and probe; between sub-blocks they decay again, and queries and probes twice.
    fn decayed(&self, tokens: f64) -> f64 {
        if !self.diagonal {
            return 0.0;
        }
        let lanes = f64::from(self.machine.lanes);
        let reads = self.queries + self.corrected;
        let pairs = self.writes * (lanes / 2.0) * (1.0 + reads) / 4.0;
        let between = self.writes * (1.0 + tokens / (2.0 * lanes)) + 2.0 * reads;
        tokens * self.n as f64 * (pairs + between) / 3.0
    }
}
