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
    let drafts = [None, Some(Drafting::Lookup { most: 5 })];
    let sizes = [1 << 16, 1 << 30];
    for (model, drafting) in models
        .iter()
        .flat_map(|model| drafts.clone().map(|drafting| (model, drafting)))
    {
        for cache_bytes in sizes {
            let settings = Settings {
                cache_bytes,
                drafting: drafting.clone(),
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
fn what_was_kept_of_a_prompt_that_has_ended_answers_no_other_prompt() {
    let model = load(testing::since());
    let (mut mix, mut asked) = (Mix(3), Vec::new());
    let prompts: Vec<Vec<i64>> = (0..60).map(|_| branch(&mut mix)).collect();
    for prompt in prompts.iter().chain(&prompts) {
        // The text of an answer, and more.
        let further = [&prompt[..], &[0, 1, 2, 3, 7]].concat();
        asked.extend([prompt.clone(), further].map(|prompt| (prompt, Ear::with_room(1000))));
    }
    let requests = asked.iter().map(|(prompt, ear)| greedy(prompt, 5, ear));
    let handle = answer(&model, settings(), requests);
    for (prompt, ear) in &asked {
        assert_eq!(ear.heard(0), (vec![0, 1, 2, 3, 4], Some(Reason::Length)), "{prompt:?}");
    }
    // What was kept within prompts is used, and so are whole ones that are asked for again.
    assert!(handle.gauges().cache_hits.load(Relaxed) > 100, "{:?}", handle.gauges());
}

#[test]
fn caches_that_are_written_anew_give_the_answers_that_they_give_alone() {
    let model = load(testing::thinner());
    let heard = |settings: Settings| {
        let (mut mix, mut ears) = (Mix(5), Vec::new());
        let mut requests = Vec::new();
        for _ in 0..100 {
            let (start, ear) = ([3, 5].repeat((mix.next() % 2 * 60) as usize), Ear::with_room(1000));
            requests.push(greedy(&[start, branch(&mut mix)].concat(), 9, &ear));
            ears.push(ear);
        }
        answer(&model, settings, requests);
        ears.iter().map(|ear| ear.heard(0)).collect::<Vec<_>>()
    };
    let alone = heard(Settings {
        sequences: 1,
        cache_bytes: 0,
        ..settings()
    });
    assert!(alone.iter().all(|(tokens, _)| tokens.len() == 9), "{alone:?}");
    assert_eq!(heard(settings()), alone);
    let drafting = Some(Drafting::Lookup { most: 5 });
    assert_eq!(heard(Settings { drafting, ..settings() }), alone);
}
