//! Prompts that begin as earlier ones are read from where they part, and answered as alone.

use super::*;

/// A prompt that begins as others do: some tokens of one text, then a few of its own.
pub(super) fn branch(mix: &mut Mix) -> Vec<i64> {
    let mut below = |bound: u64| (mix.next() % bound) as usize;
    let (shared, own) = (below(40), 1 + below(5));
    let shared = (0..shared).map(|n| (n * n + 1) as i64 % VOCAB as i64);
    shared.chain((0..own).map(|_| below(2) as i64)).collect()
}

#[test]
fn prompts_that_begin_alike_are_read_from_where_they_part() {
    let models = [adder(0), load(rememberer())];
    let drafts = [None, Some(Drafting { lookup: 5 })];
    let sizes = [1 << 16, 1 << 30];
    for (model, drafting) in models.iter().flat_map(|model| drafts.map(|drafting| (model, drafting))) {
        for cache_bytes in sizes {
            let settings = Settings {
                cache_bytes,
                drafting,
                snapshot_tokens: 4,
                ..settings()
            };
            let mut mix = Mix(7);
            std::thread::scope(|scope| {
                let mut engine = Engine::new(model, None, settings).expect("an engine");
                let handle = engine.handle();
                let thread = scope.spawn(move || engine.run());
                let (mut asked, mut tokens) = (Vec::new(), 0);
                for _ in 0..200 {
                    let (prompt, ear) = (branch(&mut mix), Ear::with_room(1000));
                    tokens += prompt.len() as u64;
                    handle.submit(greedy(&prompt, 7, &ear)).expect("a place");
                    asked.push((prompt, ear));
                }
                handle.close();
                thread.join().expect("no panic");
                for (prompt, ear) in &asked {
                    assert_eq!(ear.heard(0), (alone(prompt, 7), Some(Reason::Length)), "{prompt:?}");
                }
                let gauges = handle.gauges();
                let (read, kept) = (gauges.prompt_tokens.load(Relaxed), gauges.cache_tokens.load(Relaxed));
                assert_eq!(read + kept, tokens);
                assert!(gauges.cache_hits.load(Relaxed) > 50, "{gauges:?}");
                assert!(gauges.cache_bytes.load(Relaxed) <= cache_bytes, "{gauges:?}");
            });
        }
    }
}

#[test]
fn the_first_repetition_of_a_prompt_reads_nothing() {
    let model = adder(0);
    let mut engine = Engine::new(&model, None, settings()).expect("an engine");
    let handle = engine.handle();
    let (first, second) = (Ear::with_room(1000), Ear::with_room(1000));
    let prompt = [1, 2, 3, 4, 5, 6, 7];
    for ear in [&first, &second] {
        handle.submit(greedy(&prompt, 4, ear)).expect("a place");
    }
    handle.close();
    engine.run();
    assert_eq!(first.heard(0), second.heard(0));
    assert_eq!(handle.gauges().prompt_tokens.load(Relaxed), 7);
    assert_eq!(handle.gauges().cache_tokens.load(Relaxed), 7);
}

#[test]
fn the_next_turn_goes_on_near_the_end_of_an_answer_with_drafts() {
    let (prompt, drafting) = ([4, 4, 8], Some(Drafting { lookup: 5 }));
    for model in [adder(0), load(rememberer())] {
        let mut engine = Engine::new(&model, None, Settings { drafting, ..settings() }).expect("an engine");
        let handle = engine.handle();
        let ears = [Ear::with_room(1000), Ear::with_room(1000)];
        let answer = alone(&prompt, 20);
        let next = [&prompt[..], &answer, &[3, 2]].concat();
        handle.submit(greedy(&prompt, 20, &ears[0])).expect("a place");
        std::thread::scope(|scope| {
            scope.spawn(|| engine.run());
            while ears[0].heard(0).1.is_none() {
                std::thread::yield_now();
            }
            handle.submit(greedy(&next, 20, &ears[1])).expect("a place");
            handle.close();
        });
        assert_eq!(ears[0].heard(0).0, answer);
        assert_eq!(ears[1].heard(0).0, alone(&next, 20));
        let kept = handle.gauges().cache_tokens.load(Relaxed);
        assert!(
            kept > 14 && handle.gauges().accepted_tokens.load(Relaxed) > 20,
            "{kept}"
        );
    }
}
