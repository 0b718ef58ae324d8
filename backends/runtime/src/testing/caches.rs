//! Hand-made models whose caches forget tokens: one that writes them anew and becomes shorter, one that drops the oldest.

use seqc_abi::{Descriptor, PAGE_TOKENS, StateKind, Word, frame};

use super::{VOCAB, adder_descriptor, code, rows, segments, slot, wanted};
use crate::code::{Code, Entry};

/// Tokens that [`thinner`] keeps before it forgets every second one.
pub(crate) const MOST_KEPT: usize = 140;
/// Tokens that [`dropper`] adds up.
pub(crate) const SPAN: usize = 70;

/// What a hand-made model does at a row: its states, its position, the end of its prompt, its token; gives a sum.
type Read = unsafe fn(*const *mut u64, u64, u64, f32) -> f32;

/// The likeliest next token is the sum of the tokens that are kept, modulo [`VOCAB`]. Every second one is forgotten when there are more than
/// [`MOST_KEPT`], and at the end of a prompt.
pub(crate) fn thinner() -> Code {
    model("thinner", true, None, thin)
}

/// The likeliest next token is the sum of the last [`SPAN`] tokens, modulo [`VOCAB`]; earlier ones are dropped.
pub(crate) fn dropper() -> Code {
    model("dropper", false, Some(Word { entry: 0, word: 1 }), drop_oldest)
}

/// A model with two words, which count its tokens and say how many were dropped, and a cache of tokens.
fn model(name: &str, rewritten: bool, dropped: Option<Word>, step: Entry) -> Code {
    let pages = StateKind::Pages {
        page_bytes: 4 * PAGE_TOKENS,
        pinned: 0,
        pages: None,
        count: Some(Word { entry: 0, word: 0 }),
        rewritten,
        dropped,
    };
    let described = Descriptor {
        prompt_matters: rewritten,
        states: vec![slot("words", StateKind::Fixed { bytes: 16 }), slot("seen", pages)],
        ..adder_descriptor(name)
    };
    code(&described, step)
}

unsafe extern "C" fn thin(slots: *const u64, tid: i64, _: i64) {
    // SAFETY: the caller's promise.
    unsafe { for_rows(slots, tid, thin_row) };
}

unsafe extern "C" fn drop_oldest(slots: *const u64, tid: i64, _: i64) {
    // SAFETY: the caller's promise.
    unsafe { for_rows(slots, tid, drop_at_row) };
}

unsafe fn for_rows(slots: *const u64, tid: i64, read: Read) {
    if tid != 0 {
        return;
    }
    // SAFETY: the frame of a step is filled.
    unsafe {
        let tokens = *(*slots.add(frame::ALL + frame::rows::INPUTS) as *const *const i64);
        let out = *(*slots.add(frame::OUTPUTS) as *const *mut f32);
        let mut outputs = wanted(slots).iter().enumerate().peekable();
        for (i, row) in rows(slots).iter().enumerate() {
            let segment = &segments(slots)[row.segment as usize];
            let states = segment.states as *const *mut u64;
            let sum = read(states, row.position, segment.prompt, *tokens.add(i) as f32);
            if let Some((n, _)) = outputs.next_if(|(_, wanted)| wanted.row == i as u64) {
                let row = std::slice::from_raw_parts_mut(out.add(n * VOCAB), VOCAB);
                row.fill(-1.0);
                row[sum as usize % VOCAB] = 1.0;
            }
        }
    }
}

/// Token `j` of the cache.
unsafe fn seen(states: *const *mut u64, j: usize) -> *mut f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let page = *(*states.add(1) as *const *mut f32).add(j / PAGE_TOKENS);
        assert!(!page.is_null(), "token {j} was dropped");
        page.add(j % PAGE_TOKENS)
    }
}

unsafe fn thin_row(states: *const *mut u64, position: u64, prompt: u64, token: f32) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let count = *states;
        *seen(states, *count as usize) = token;
        *count += 1;
        if *count as usize > MOST_KEPT || position + 1 == prompt {
            let kept = count.read().div_ceil(2);
            (0..kept as usize).for_each(|j| *seen(states, j) = *seen(states, 2 * j));
            *count = kept;
        }
        (0..*count as usize).map(|j| *seen(states, j)).sum()
    }
}

unsafe fn drop_at_row(states: *const *mut u64, position: u64, _: u64, token: f32) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let (count, dropped) = (*states, (*states).add(1));
        assert_eq!(*count, position, "the state is that of another sequence");
        *seen(states, *count as usize) = token;
        *count += 1;
        *dropped = count.read().saturating_sub(SPAN as u64);
        (dropped.read() as usize..*count as usize)
            .map(|j| *seen(states, j))
            .sum()
    }
}
