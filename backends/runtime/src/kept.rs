//! Which tokens the caches of a sequence keep, where entries leave, and which of them the last query chose.

use crate::sequence::Sequence;
use seqc_abi::{Choices, Descriptor, Elem, Evictions, PAGE_TOKENS, Stream, Word};

/// One report for each cache from which entries leave: for each token and key head 1 where the token's entry is kept, else 0. Then one for
/// each choice of blocks: for each token and query head 1 where the last query chose the token's block, else 0.
pub(crate) fn streams(descriptor: &Descriptor) -> Vec<Stream> {
    let stream = |(name, heads): (&String, usize)| Stream {
        name: name.clone(),
        shape: vec![heads],
        elem: Elem::I64,
        vocab: None,
    };
    let caches = descriptor.evictions.iter().map(|cache| (&cache.name, cache.heads));
    let choices = descriptor.choices.iter().map(|choice| (&choice.name, choice.heads));
    caches.chain(choices).map(stream).collect()
}

/// Rows of the [`streams`] for the last `tokens` tokens that a sequence has read.
pub(crate) fn reports(descriptor: &Descriptor, sequence: &Sequence, tokens: usize) -> Vec<Vec<u8>> {
    let caches = descriptor.evictions.iter().map(|cache| kept(sequence, cache, tokens));
    let choices = descriptor.choices.iter().map(|choice| chosen(sequence, choice, tokens));
    let bytes = |rows: Vec<i64>| rows.into_iter().flat_map(i64::to_le_bytes).collect();
    caches.chain(choices).map(bytes).collect()
}

fn kept(sequence: &Sequence, cache: &Evictions, tokens: usize) -> Vec<i64> {
    let mut rows = Rows::new(sequence, cache.heads, tokens);
    for head in 0..cache.heads {
        let word = Word {
            word: cache.count.word + head * cache.stride,
            ..cache.count
        };
        for position in numbers(sequence, cache.positions, [head, cache.heads], count(sequence, word)) {
            rows.mark(position as u64, head);
        }
    }
    rows.all
}

fn chosen(sequence: &Sequence, choice: &Choices, tokens: usize) -> Vec<i64> {
    let mut rows = Rows::new(sequence, choice.heads, tokens);
    let blocks = count(sequence, choice.blocks);
    for head in 0..choice.heads {
        let flags = numbers(sequence, choice.flags, [head, choice.heads], blocks);
        for block in (0..flags.len()).filter(|block| flags[*block] != 0.0) {
            let first = choice.first + block * choice.size;
            (first..first + choice.size).for_each(|token| rows.mark(token as u64, head));
        }
    }
    rows.all
}

fn count(sequence: &Sequence, word: Word) -> usize {
    let count = sequence.state.word(word).unwrap_or_default();
    usize::try_from(count).unwrap_or_default()
}

/// The first `count` numbers of a head in pages of `[heads][PAGE_TOKENS]`.
fn numbers(sequence: &Sequence, entry: usize, [head, heads]: [usize; 2], count: usize) -> Vec<f32> {
    let size = (4 * heads * PAGE_TOKENS).next_multiple_of(64);
    let pages = sequence.state.kept(entry, count.div_ceil(PAGE_TOKENS) * size);
    let row = |page: &[u8]| page[4 * PAGE_TOKENS * head..][..4 * PAGE_TOKENS].to_vec();
    let bytes: Vec<u8> = pages.into_iter().flat_map(row).collect();
    let numbers = bytes.as_chunks::<4>().0.iter().take(count);
    numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// A number for each of the last tokens and each head.
struct Rows {
    /// Position of the first of these tokens.
    first: u64,
    heads: usize,
    all: Vec<i64>,
}

impl Rows {
    fn new(sequence: &Sequence, heads: usize, tokens: usize) -> Rows {
        Rows {
            first: sequence.position - tokens as u64,
            heads,
            all: vec![0; tokens * heads],
        }
    }

    fn mark(&mut self, position: u64, head: usize) {
        let token = position.checked_sub(self.first);
        let row = token.and_then(|token| self.all.get_mut(token as usize * self.heads + head));
        if let Some(found) = row {
            *found = 1;
        }
    }
}
