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
    /// A delta rule corrects values by what the state holds.
    corrected: bool,
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
            corrected: form.correction.is_some(),
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
            Chunks::Cheapest => (1..=Settings::CHUNK).rev().take_while(cheaper).last(),
            Chunks::Products => Some(1),
            Chunks::Tokens => None,
        };
    }

    /// Additions of a token in a scan, or with loops of its own for decay, outer product, sum, contraction and correction.
    fn by_tokens(&self) -> f64 {
        let rates = &self.machine.rates;
        let wide = self.p.is_multiple_of(self.machine.scan_lanes as usize);
        let each = match (self.corrected, wide) {
            (true, _) => rates.head_entry,
            (false, true) => rates.scan_entry,
            (false, false) => rates.scan_entry * rates.narrow,
        };
        self.heads * (each * (self.p * self.n) as f64)
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
        let more = if self.corrected { 1.0 } else { 0.0 };
        let (tall, tokens) = (tokens.next_multiple_of(tile) as f64, tokens as f64);
        let among = (1.0 + more) * tall * (tokens + tile as f64) / 2.0 * (p + n / shared);
        let with_state = ((1.0 + more) * tall + tokens + rates.state) * p * n;
        let moved = tokens * (3.0 * p + (1.0 + more) * n + (3.0 + more) * n / shared);
        rates.product * (among + with_state) + rates.moved * moved
    }
}
