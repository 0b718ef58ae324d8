//! Caches that forget tokens take the memory of those that are left, and sessions go back and on as with any other.

use super::*;
use crate::testing::{MOST_KEPT, SPAN, dropper, thinner};

/// Bytes of a page of both models.
const PAGE: usize = 256;

/// The tokens that [`thinner`] keeps of these, of which the first `prompt` are a prompt.
fn thinned(tokens: &[i64], prompt: usize) -> Vec<i64> {
    let mut kept = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        kept.push(*token);
        if kept.len() > MOST_KEPT || n + 1 == prompt {
            kept = kept.into_iter().step_by(2).collect();
        }
    }
    kept
}

fn sum(tokens: &[i64]) -> Option<usize> {
    Some(tokens.iter().sum::<i64>() as usize % VOCAB)
}

fn said(session: &Session) -> Option<usize> {
    session.last(0).map(crate::generation::greedy)
}

/// Bytes of the cache alone.
fn cache_bytes(session: &Session) -> usize {
    session.track.sequence.bytes() - 16
}

fn tokens(count: usize) -> Vec<i64> {
    (0..count).map(|n| (n * n + n / 7) as i64 % VOCAB as i64).collect()
}

#[test]
fn a_cache_that_becomes_shorter_gives_pages_back() {
    let model = load(thinner());
    for (chunk, prompt) in [(1, 0), (7, 0), (8, 130), (1, 130), (3, 299)] {
        let all = tokens(CONTEXT);
        let mut session = Session::new(&model).expect("memory");
        if prompt > 0 {
            session.end_prompt(prompt as u64);
        }
        let mut read = 0;
        while read < all.len() {
            let next = (read + chunk).min(all.len());
            feed(&mut session, &all[read..next], &Cut::default(), Wanted::Last);
            read = next;
            let kept = thinned(&all[..read], prompt);
            assert_eq!(said(&session), sum(&kept), "{read}");
            assert_eq!(cache_bytes(&session), kept.len().div_ceil(64) * PAGE, "{read}");
        }
    }
}

#[test]
fn a_fork_keeps_what_the_other_writes_anew() {
    let model = load(thinner());
    let all = tokens(MOST_KEPT + 1);
    let (last, before) = all.split_last().expect("tokens");
    let mut session = read(&model, before);
    let fork = session.fork().expect("memory");
    assert_eq!(cache_bytes(&session), cache_bytes(&fork));
    feed(&mut session, &[*last], &Cut::default(), Wanted::Last);
    assert_eq!(said(&session), sum(&thinned(&all, 0)));
    let mut others = vec![fork];
    let mut bytes = Vec::new();
    others[0].save_to(&mut bytes).expect("memory");
    let mut loaded = Session::new(&model).expect("memory");
    loaded.load_from(&bytes).expect("a state");
    others.push(loaded);
    for mut other in others {
        // The fork has its three pages alone, now that the session has written all of its own.
        assert_eq!(cache_bytes(&other), 3 * PAGE);
        feed(&mut other, &[*last], &Cut::default(), Wanted::Last);
        assert_eq!(said(&other), said(&session));
        assert_eq!(cache_bytes(&other), 2 * PAGE);
    }
}

#[test]
fn pages_whose_tokens_are_dropped_are_given_back_and_are_not_saved() {
    let model = load(dropper());
    let all = tokens(CONTEXT);
    let mut session = Session::new(&model).expect("memory");
    let mut sizes = Vec::new();
    for read in 1..=all.len() {
        feed(&mut session, &all[read - 1..read], &Cut::default(), Wanted::Last);
        let dropped = read.saturating_sub(SPAN);
        assert_eq!(said(&session), sum(&all[dropped..read]), "{read}");
        assert_eq!(
            cache_bytes(&session),
            (read.div_ceil(64) - dropped / 64) * PAGE,
            "{read}"
        );
        let mut bytes = Vec::new();
        session.save_to(&mut bytes).expect("memory");
        sizes.push(bytes.len() - 8 * read - cache_bytes(&session));
        let mut loaded = Session::new(&model).expect("memory");
        loaded.load_from(&bytes).expect("a state");
        assert_eq!(cache_bytes(&loaded), cache_bytes(&session));
        session = if read % 3 == 0 {
            loaded
        } else {
            session.fork().expect("memory")
        };
    }
    // All that a state has beside tokens and pages is of constant size.
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
}
