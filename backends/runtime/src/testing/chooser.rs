//! Hand-made models whose steps choose tokens, as those of devices do.

use std::sync::atomic::{AtomicUsize, Ordering};

use seqc_abi::{Descriptor, batch, decoding::Decoding, frame};

use super::{VOCAB, add, adder_descriptor, code, remember};
use crate::{code::Code, generation::greedy};

/// Tokens that steps have chosen, in all tests of this process.
pub(crate) static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// [`adder`](super::adder) whose steps choose tokens, but for those that end an answer; of a temperature below 0.1, or where top-p or min-p cuts,
/// they leave all to the host.
pub(crate) fn choosing_adder(ends: &[i64]) -> Code {
    let described = Descriptor {
        sampled: Some(0),
        ends: ends.to_vec(),
        ..adder_descriptor("adder")
    };
    code(&described, choose_added)
}

/// The same of [`rememberer`](super::rememberer), whose sequences can be cut anywhere.
pub(crate) fn choosing_rememberer(ends: &[i64]) -> Code {
    let described = adder_descriptor("rememberer");
    let described = Descriptor {
        sampled: Some(0),
        ends: ends.to_vec(),
        states: described.states[1..].to_vec(),
        ..described
    };
    code(&described, choose_remembered)
}

unsafe extern "C" fn choose_added(slots: *const u64, tid: i64, threads: i64) {
    // SAFETY: the caller's promise.
    unsafe { choose(slots, tid, || add(slots, tid, threads)) };
}

unsafe extern "C" fn choose_remembered(slots: *const u64, tid: i64, threads: i64) {
    // SAFETY: the caller's promise.
    unsafe { choose(slots, tid, || remember(slots, tid, threads)) };
}

unsafe fn choose(slots: *const u64, tid: i64, step: impl Fn()) {
    // SAFETY: the frame of a step is filled, and one thread alone changes its tables.
    unsafe {
        let record = *slots.add(frame::DECODING) as *mut Decoding;
        if record.is_null() {
            return step();
        }
        if tid != 0 {
            return;
        }
        for n in 0..(*record).count as usize {
            step();
            let logits = std::slice::from_raw_parts(*(*slots.add(frame::OUTPUTS) as *const *const f32), VOCAB);
            let Some(token) = next(&*record, logits, n).filter(|_| n + 1 < (*record).count as usize) else {
                break;
            };
            let ends = std::slice::from_raw_parts((*record).end_table as *const i64, (*record).ends as usize);
            if ends.contains(&token) || token as u64 >= (*record).limit {
                break;
            }
            CHOSEN.fetch_add(1, Ordering::Relaxed);
            *((*record).tokens as *mut i64).add(n + 1) = token;
            (*record).read = n as u64 + 2;
            let slot = |number: usize| *slots.add(frame::ALL + number);
            **(slot(frame::rows::INPUTS) as *const *mut i64) = token;
            (*(slot(frame::rows::TABLE) as *mut batch::Row)).position += 1;
            (*(slot(frame::rows::SEGMENT_TABLE) as *mut batch::Segment)).position += 1;
        }
    }
}

/// The token that the host would choose, where it is not left to it.
fn next(record: &Decoding, logits: &[f32], n: usize) -> Option<i64> {
    if record.top_k == 1 {
        return Some(greedy(logits) as i64);
    }
    let [temperature, top_p, min_p] =
        [record.temperature, record.top_p, record.min_p].map(|bits| f32::from_bits(bits as u32));
    if temperature < 0.1 || top_p < 1.0 || min_p > 0.0 {
        return None;
    }
    let mut tokens: Vec<usize> = (0..logits.len()).collect();
    tokens.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    tokens.truncate(record.top_k as usize);
    tokens.sort_unstable();
    let weight = |token: usize| f64::from((logits[token] - 1.0) / temperature).exp();
    let total: f64 = tokens.iter().map(|token| weight(*token)).sum();
    // SAFETY: there is a number for each token that is chosen.
    let mut left = f64::from(unsafe { *(record.draws as *const f32).add(n) }) * total;
    let here = tokens.iter().find(|token| {
        left -= weight(**token);
        left < 0.0
    });
    here.map(|token| *token as i64)
}
