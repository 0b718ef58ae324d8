//! Which tokens the caches of a sequence keep, where entries leave.

use crate::sequence::Sequence;
use seqc_abi::{Descriptor, Elem, Evictions, PAGE_TOKENS, Stream, Word};

/// One report for each cache from which entries leave: for each token and key head 1 where the token's entry is kept, else 0.
pub(crate) fn streams(descriptor: &Descriptor) -> Vec<Stream> {
    let stream = |cache: &Evictions| Stream {
        name: cache.name.clone(),
        shape: vec![cache.heads],
        elem: Elem::I64,
        vocab: None,
    };
    descriptor.evictions.iter().map(stream).collect()
}

/// Rows of the [`streams`] for the last `tokens` tokens that a sequence has read.
pub(crate) fn reports(descriptor: &Descriptor, sequence: &Sequence, tokens: usize) -> Vec<Vec<u8>> {
    let caches = descriptor.evictions.iter();
    caches.map(|cache| rows(sequence, cache, tokens)).collect()
}

fn rows(sequence: &Sequence, cache: &Evictions, tokens: usize) -> Vec<u8> {
    let first = sequence.position - tokens as u64;
    let mut rows = vec![0_i64; tokens * cache.heads];
    for head in 0..cache.heads {
        let word = Word {
            word: cache.count.word + head * cache.stride,
            ..cache.count
        };
        let count = sequence.state.word(word).unwrap_or_default();
        let count = usize::try_from(count).unwrap_or_default();
        let size = 4 * cache.heads * PAGE_TOKENS;
        let pages = sequence
            .state
            .kept(cache.positions, count.div_ceil(PAGE_TOKENS) * size.next_multiple_of(64));
        let row = |page: &[u8]| page[4 * PAGE_TOKENS * head..][..4 * PAGE_TOKENS].to_vec();
        let bytes: Vec<u8> = pages.into_iter().flat_map(row).collect();
        for position in bytes.as_chunks::<4>().0.iter().take(count) {
            let token = (f32::from_le_bytes(*position) as u64).checked_sub(first);
            let row = token.and_then(|token| rows.get_mut(token as usize * cache.heads + head));
            if let Some(kept) = row {
                *kept = 1;
            }
        }
    }
    rows.into_iter().flat_map(i64::to_le_bytes).collect()
}
